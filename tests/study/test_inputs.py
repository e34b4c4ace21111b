"""From what a user writes to an input of a stage."""

from pathlib import Path

from seemant.compress.config import CompressConfig
from seemant.compress.run import STAGE as COMPRESS
from seemant.core.stage import execute, file_input
from seemant.models.backends.tiny import write_tiny
from seemant.models.resolve import resolve
from seemant.study.inputs import as_input


def test_an_artefact_as_a_model_has_a_label_that_is_a_reference(tmp_path: Path) -> None:
    write_tiny(tmp_path / "tiny.gguf")
    given = {"model": file_input(tmp_path / "tiny.gguf", "path:tiny.gguf")}
    done = execute(COMPRESS, CompressConfig(bits=8), given, store=tmp_path / "runs")
    for text in (str(done.path), f"run:{done.path}"):
        model = as_input(text, "model")
        assert model.label == f"run:{done.path}"
        assert model.sha256 == done.manifest.content_sha256
        assert resolve(model.label).subject == "tiny/q8_0-g32"
