"""From a model's path to the file that is compressed."""

import json
from pathlib import Path

import pytest

from seemant.compress.source import gguf_of
from seemant.core.errors import BadFile


@pytest.mark.parametrize(
    ("kind", "cure"),
    [
        ("qwen2", "seemant convert path:"),
        ("gemma3_text", "seemant convert path:"),
        (None, "name a .gguf file"),
    ],
)
def test_a_folder_names_the_command_that_makes_a_file_of_it(
    tmp_path: Path, kind: str | None, cure: str
) -> None:
    if kind is not None:
        (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(BadFile, match="compress reads GGUF files, this is a folder") as caught:
        gguf_of(tmp_path, "compress")
    assert caught.value.fix and cure in caught.value.fix


def test_a_variant_that_no_file_holds_is_not_compressed_again(tmp_path: Path) -> None:
    (tmp_path / "codes.safetensors").write_bytes(b"")
    with pytest.raises(BadFile, match="no file holds this variant's grid") as caught:
        gguf_of(tmp_path, "compress")
    assert caught.value.fix and "name the model that it was made from" in caught.value.fix
