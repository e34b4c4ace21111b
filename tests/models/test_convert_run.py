"""The stage "convert": a folder becomes the file that the other rooms read."""

from pathlib import Path

import pytest

from seemant.core.errors import BadFile
from seemant.core.stage import execute, file_input
from seemant.formats.gguf_read import open_gguf
from seemant.models.convert.config import ConvertConfig
from seemant.models.convert.run import STAGE
from tests.models.test_hf_to_gguf import folder_of


def test_a_folder_becomes_a_file_that_says_name_licence_and_languages(tmp_path: Path) -> None:
    folder, _ = folder_of(tmp_path / "tiny-model", "qwen2")
    config = ConvertConfig(licence="apache-2.0", languages=("hi",))
    given = {"model": file_input(folder, "hf:someone/tiny-model")}
    done = execute(STAGE, config, given, store=tmp_path / "runs")
    metadata = open_gguf(done.path / "model.gguf").metadata
    assert metadata["general.name"] == "tiny-model"
    assert metadata["general.license"] == "apache-2.0"
    assert metadata["general.languages"] == ["hi"]
    (size,) = done.manifest.measurements
    assert size.value == (done.path / "model.gguf").stat().st_size
    again = {"model": file_input(done.path / "model.gguf", "path:model.gguf")}
    with pytest.raises(BadFile, match="this is a file"):
        execute(STAGE, config, again, store=tmp_path / "runs")
