"""A disk that fills while a bundle is written: the target is named, nothing looks finished."""

import errno
from pathlib import Path

import pytest

from seemant.core.errors import DiskFull
from seemant.core.stage import execute, file_input
from seemant.export.config import ExportConfig
from seemant.export.hf import write_hf
from seemant.export.run import STAGE
from tests.models.tiny import tiny_model, write_tiny_gguf

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache of the expanded model."""
    monkeypatch.setenv("SEEMANT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    return write_tiny_gguf(tmp_path / "m.gguf", tiny_model("llama"), "llama")


def test_a_copy_that_finds_no_room_names_its_target(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:  # as shutil's fast copy says it
        error = OSError(errno.ENOSPC, "No space left on device", str(source), None, str(target))
        raise error

    monkeypatch.setattr("seemant.export.bundle.shutil.copyfile", full)
    given = {"model": file_input(model, "path:m.gguf")}
    monkeypatch.setattr("seemant.export.bundle._linked", lambda *_: False)
    with pytest.raises(DiskFull) as caught:
        execute(STAGE, ExportConfig(), given, store=tmp_path, out=tmp_path / "out")
    assert caught.value.where == str(tmp_path / "out" / "model.gguf")


def test_a_folder_of_weights_that_finds_no_room_says_so_and_goes(
    tmp_path: Path, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors import SafetensorError
    from transformers import PreTrainedModel

    def full(self: object, folder: Path, **_: object) -> None:
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(PreTrainedModel, "save_pretrained", full)
    given = {"model": file_input(llama, "path:m.gguf")}
    with pytest.raises(DiskFull, match="no space left") as caught:
        execute(STAGE, ExportConfig(hf=True), given, store=tmp_path, out=tmp_path / "out")
    assert caught.value.where == str(tmp_path / "out" / "hf")
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {".lock", "config.json", "events.jsonl"}


def test_a_refused_write_beside_the_weights_goes_too(
    tmp_path: Path, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.EFBIG, "File too large")

    monkeypatch.setattr("seemant.export.hf.shutil.copyfile", full)
    with pytest.raises(DiskFull, match="larger than the system allows"):
        write_hf(llama, tmp_path / "out" / "hf", None)
    assert not list((tmp_path / "out").iterdir())
