"""References: every form finds its files or says what to do."""

import json
from pathlib import Path

import pytest

from seemant.core.errors import BadFile, UnknownModel
from seemant.core.jsonl import write_json
from seemant.models.catalogue import entry_of
from seemant.models.random_weights import random_model
from seemant.models.resolve import config_names, languages_of, locate, resolve, weights_in
from tests.models.tiny import tiny_model, write_tiny_gguf

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def gguf_file(tmp_path: Path) -> Path:
    more = {"general.license": "apache-2.0"}
    return write_tiny_gguf(tmp_path / "a" / "tiny.gguf", tiny_model("llama"), "llama", **more)


def test_an_embedded_model_that_is_missing_names_the_command() -> None:
    with pytest.raises(BadFile, match="not in the cache") as caught:
        resolve("embedded:gemma-3-270m")
    assert "seemant models fetch gemma-3-270m" in str(caught.value)
    with pytest.raises(UnknownModel, match="gemma-3-270b") as unknown:
        resolve("embedded:gemma-3-270b")
    assert "did you mean 'gemma-3-270m'" in str(unknown.value)


def test_an_embedded_model_of_the_wrong_size_is_damaged() -> None:
    entry = entry_of("gemma-3-270m")
    entry.folder.mkdir(parents=True)
    entry.path.write_bytes(b"GGUF")
    with pytest.raises(BadFile, match=f"4 bytes instead of {entry.size}"):
        resolve("embedded:gemma-3-270m")


def test_a_path_is_a_gguf_file_with_its_licence(gguf_file: Path) -> None:
    for ref in (f"path:{gguf_file}", str(gguf_file)):
        found = resolve(ref)
        assert (found.ref, found.path, found.kind) == (ref, gguf_file, "gguf")
        assert (found.licence, found.subject) == ("apache-2.0", "tiny")


def test_a_path_can_be_an_hf_folder(tmp_path: Path) -> None:
    tiny_model("qwen2").save_pretrained(tmp_path / "student")
    found = locate(f"path:{tmp_path / 'student'}")
    assert (found.kind, found.subject) == ("hf", "student")


def test_a_truncated_file_a_text_file_and_no_file_are_refused(gguf_file: Path) -> None:
    gguf_file.write_bytes(gguf_file.read_bytes()[:-10])
    with pytest.raises(BadFile):
        resolve(f"path:{gguf_file}")
    gguf_file.write_text("hello")
    with pytest.raises(BadFile, match="not a GGUF file"):
        resolve(f"path:{gguf_file}")
    gguf_file.unlink()
    with pytest.raises(BadFile, match="no such file"):
        resolve(f"path:{gguf_file}")


def test_an_adapter_file_is_no_model(tmp_path: Path) -> None:
    from seemant.formats.gguf_write import TensorData, write_gguf

    metadata = {"general.type": "adapter", "general.architecture": "llama"}
    write_gguf(tmp_path / "a.gguf", metadata, {"x": TensorData("F32", (1,), b"\0\0\0\0")})
    with pytest.raises(BadFile, match="adapter"):
        resolve(f"path:{tmp_path / 'a.gguf'}")


def test_a_train_artefact_is_its_base_under_its_adapter(gguf_file: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    student = {"base": f"path:{gguf_file}", "languages": ["kn", "hi"], "subject": "tiny+lora"}
    (run / "student.json").write_text(json.dumps(student))
    found = resolve(f"run:{run}")
    assert (found.path, found.adapter) == (gguf_file, run / "adapter")
    assert (found.subject, found.languages) == ("tiny+lora", ("hi", "kn"))


def test_a_compress_artefact_is_its_file_with_its_variants_name(
    gguf_file: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    gguf_file.rename(run / "model.gguf")
    (run / "variant.json").write_text(json.dumps({"name": "tiny/q4_0", "licence": "gemma"}))
    found = resolve(f"run:{run}")
    assert (found.path, found.subject, found.licence) == (
        run / "model.gguf",
        "tiny/q4_0",
        "gemma",
    )


def test_artefacts_that_hold_no_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no such artefact"):
        resolve(f"run:{tmp_path / 'nowhere'}")
    with pytest.raises(BadFile, match="neither"):
        resolve(f"run:{tmp_path}")


def test_a_folder_whose_run_is_not_finished_is_no_model(gguf_file: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    gguf_file.rename(run / "model.gguf")
    assert resolve(f"path:{run}").path == run / "model.gguf"  # a plain folder with one file
    write_json(run / "config.json", {"stage": "compress", "id": "0123456789ab", "config": {}})
    for find in (
        lambda: resolve(f"path:{run}"),
        lambda: resolve(f"run:{run}"),
        lambda: weights_in(run),
    ):
        with pytest.raises(BadFile, match="this run is not finished") as caught:
            find()
        assert (caught.value.where, caught.value.fix) == (str(run), "give its command again")
    (run / "manifest.json").write_text("{}")
    assert resolve(f"path:{run}").path == weights_in(run) == run / "model.gguf"


def test_an_unknown_architecture_names_the_file_its_tensors_and_the_families(
    tmp_path: Path,
) -> None:
    from seemant.formats.gguf_write import TensorData, write_gguf

    one = TensorData("F32", (1,), b"\0\0\0\0")
    known = ["token_embd.weight", "blk.0.attn_q.weight", "blk.0.post_ffw_norm.weight"]
    strange = [f"blk.{layer}.ssm_conv.weight" for layer in range(5)]
    path = tmp_path / "m.gguf"
    write_gguf(path, {"general.architecture": "mamba9"}, dict.fromkeys(known + strange, one))
    with pytest.raises(BadFile, match="'mamba9' are not read here") as caught:
        resolve(f"path:{path}")
    assert "5 of its 8 tensors cannot be placed: blk.0.ssm_conv.weight, blk.1" in caught.value.what
    assert caught.value.where == str(path)
    assert caught.value.fix and "llama, qwen2, qwen3, gemma3" in caught.value.fix
    write_gguf(path, {"general.architecture": "mamba9"}, dict.fromkeys(known, one))
    with pytest.raises(BadFile, match="its 3 tensors have known names"):
        resolve(f"path:{path}")


def test_models_behind_servers_have_no_files() -> None:
    for ref in ("openai:http://127.0.0.1:1/v1#m", "vllm:Qwen/Qwen2.5-0.5B"):
        with pytest.raises(UnknownModel, match="held by a server"):
            resolve(ref)


def test_a_hub_model_that_is_not_here_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BadFile, match="not in the Hub's cache") as caught:
        resolve("hf:Qwen/Qwen2.5-0.5B-Instruct@main")
    assert "seemant models fetch hf:Qwen/Qwen2.5-0.5B-Instruct@main" in str(caught.value)


def test_every_shipped_configuration_describes_the_model_that_it_names() -> None:
    """Parameter counts as published by the models' authors, in millions."""
    from seemant.core.jsonl import read_json
    from seemant.models.load import build

    published = {
        "google/gemma-3-1b-it": 999.9,
        "Qwen/Qwen2.5-0.5B-Instruct": 494.0,
        "Qwen/Qwen2.5-1.5B-Instruct": 1543.7,
        "Qwen/Qwen2.5-3B-Instruct": 3085.9,
        "Qwen/Qwen2.5-7B-Instruct": 7615.6,
    }
    assert set(config_names()) == set(published)
    for name, millions in published.items():
        found = resolve(f"config:{name}")
        assert found.kind == "config" and found.subject.endswith("(random weights)")
        model = build(read_json(found.path))
        assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.1)
    with pytest.raises(UnknownModel, match="no configuration"):
        resolve("config:google/gemma-3-1b")


def test_random_weights_follow_their_seed_and_leave_the_callers_generator_alone(
    tmp_path: Path,
) -> None:
    import torch

    path = tmp_path / "config.json"
    path.write_text(json.dumps(tiny_model("llama").config.to_dict()))
    before = torch.random.get_rng_state()
    one, same, other = (random_model(path, seed=seed).lm_head.weight for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_languages_are_the_catalogues_and_all_where_it_has_none() -> None:
    assert languages_of("embedded:smollm2-135m-instruct") == ("hi", "en")
    assert languages_of("path:x.gguf") == ("hi", "kn", "en") == languages_of("embedded:x")


def test_a_name_that_the_hub_cannot_have_is_an_unknown_model() -> None:
    with pytest.raises(UnknownModel, match="a/b/c") as caught:
        resolve("hf:a/b/c")
    assert caught.value.fix and "hf:OWNER/NAME" in caught.value.fix
