"""Parts of a model are refused; numbers that are the same in every layer are one number."""

from pathlib import Path

import pytest

from seemant.core.errors import BadFile
from seemant.formats.gguf_meta import MetaValue
from seemant.formats.gguf_read import GgufFile, open_gguf
from seemant.formats.gguf_write import TensorData, write_gguf
from seemant.models.backends.tiny import write_tiny


def rewritten(folder: Path, **entries: MetaValue) -> Path:
    write_tiny(folder / "tiny.gguf")
    file = open_gguf(folder / "tiny.gguf")
    fields = file.fields | {key.replace("__", "."): value for key, value in entries.items()}
    tensors = {n: TensorData(t.type_name, t.shape, t.raw()) for n, t in file.tensors.items()}
    write_gguf(folder / "odd.gguf", fields, tensors)
    return folder / "odd.gguf"


def test_a_shard_says_which_one_it_is(tmp_path: Path) -> None:
    path = rewritten(
        tmp_path, split__no=MetaValue("uint16", 1), split__count=MetaValue("uint16", 3)
    )
    with pytest.raises(BadFile, match="shard 2 of 3"):
        open_gguf(path)


def test_a_split_into_one_is_whole(tmp_path: Path) -> None:
    open_gguf(rewritten(tmp_path, split__count=MetaValue("uint16", 1)))


@pytest.mark.parametrize("name", ["attention.head_count", "attention.head_count_kv"])
def test_equal_numbers_by_layer_are_one_number(name: str, tmp_path: Path) -> None:
    key = f"llama.{name}"
    plain = open_gguf(rewritten(tmp_path)).metadata[key]
    path = rewritten(tmp_path, **{key.replace(".", "__"): MetaValue("[int32]", [plain, plain])})
    file: GgufFile = open_gguf(path)
    assert file.metadata[key] == plain
    assert file.fields[key].value == [plain, plain]  # a rewritten file keeps its own form


def test_layers_of_different_shapes_are_refused_by_the_keys_name(tmp_path: Path) -> None:
    path = rewritten(tmp_path, llama__feed_forward_length=MetaValue("[uint32]", [96, 64]))
    with pytest.raises(BadFile, match=r"llama\.feed_forward_length differs"):
        open_gguf(path)
