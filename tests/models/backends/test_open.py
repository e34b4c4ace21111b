"""Opening a model in the engine that is asked for, and what happens when it cannot be."""

import logging
from pathlib import Path

import pytest

from seemant.core.errors import BadFile
from seemant.models.backends import check, llama_c
from seemant.models.backends.llama_c import NoLlamaCpp
from seemant.models.backends.open import open_backend
from seemant.models.backends.protocol import Sampling


@pytest.fixture
def _fresh_checks() -> object:
    check.check_llamacpp.cache_clear()
    llama_c.library.cache_clear()
    yield
    check.check_llamacpp.cache_clear()
    llama_c.library.cache_clear()


def test_llamacpp_is_the_default_and_is_closed_afterwards(tiny_gguf: Path) -> None:
    with open_backend(tiny_gguf) as model:
        assert model.name == "llamacpp"
        assert model.generate("abc", Sampling()).n_new == 32
    with pytest.raises(RuntimeError, match="closed"):
        model.encode("abc")


def test_an_artefact_folder_stands_for_its_model(tiny_gguf: Path, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").symlink_to(tiny_gguf)
    with open_backend(tmp_path) as model:
        assert model.name == "llamacpp"


def test_a_folder_without_a_gguf_file_is_refused_not_swapped_for_torch(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="folder"), open_backend(tmp_path):
        pass


def test_an_adapter_may_be_named_in_three_ways(
    tiny_gguf: Path, tiny_adapter: Path, tmp_path: Path
) -> None:
    from seemant.formats.gguf_read import open_gguf
    from seemant.models.adapters import write_gguf_lora

    (tmp_path / "adapter").symlink_to(tiny_adapter)
    write_gguf_lora(tiny_adapter, tmp_path / "adapter.gguf", open_gguf(tiny_gguf))
    scores = []
    for place in (tmp_path, tmp_path / "adapter.gguf", tiny_adapter):
        with open_backend(tiny_gguf, adapter=place) as model:
            scores.append(model.loglikelihood("the", [" abc"]))
    assert scores[0] == scores[1] == scores[2]


@pytest.mark.usefixtures("_fresh_checks", "own_cache")
@pytest.mark.parametrize("fault", ["version", "layout", "result", "absent"])
def test_a_runtime_at_fault_leads_to_torch_with_a_warning(
    fault: str, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if fault == "version":
        monkeypatch.setattr(llama_c, "WHEEL_VERSION", "1.0")
    elif fault == "layout":
        monkeypatch.setattr(llama_c, "_MODEL_GPU_LAYERS", 20)
    elif fault == "absent":
        monkeypatch.setattr(llama_c, "_WHEEL", "no-such-wheel")
    else:
        monkeypatch.setattr(check, "NATS", -144.0)
    with caplog.at_level(logging.WARNING), open_backend(tiny_gguf) as model:
        assert model.name == "torch"
    assert "using torch instead" in caplog.text


@pytest.mark.usefixtures("_fresh_checks")
def test_a_bad_file_is_an_error_and_no_reason_for_torch(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF")
    with pytest.raises(BadFile), open_backend(tmp_path / "bad.gguf"):
        pass


@pytest.mark.usefixtures("_fresh_checks")
def test_the_check_passes_here() -> None:
    check.check_llamacpp()


@pytest.mark.usefixtures("_fresh_checks")
def test_a_missing_function_is_an_unusable_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(llama_c._SIGNATURES, "llama_no_such_function", (None, []))
    with pytest.raises(NoLlamaCpp, match="llama_no_such_function"):
        llama_c.library()


@pytest.mark.usefixtures("_fresh_checks")
def test_who_measures_gets_an_error_and_no_other_engine(
    tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama_c, "WHEEL_VERSION", "1.0")
    with (
        pytest.raises(NoLlamaCpp, match="checked against") as caught,
        open_backend(tiny_gguf, strict=True),
    ):
        pass
    assert caught.value.exit_code == 1 and caught.value.fix
