"""variant.json says what is in the file, also where the settings' own format is in no tensor."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seemant.core.stage import Done
from seemant.formats.gguf_read import open_gguf
from seemant.formats.gguf_write import TensorData, write_gguf

Make = Callable[..., Path]
Run = Callable[..., Done]
ATTENTION = ("attn_q", "attn_k", "attn_v", "attn_output")
MLP = ("ffn_gate", "ffn_up", "ffn_down")


def told(done: Done) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((done.path / "variant.json").read_text())
    return found


def test_where_every_matrix_has_its_own_format_the_unused_default_is_not_named(
    tiny_model: Make, compress: Run
) -> None:
    formats = (*(f"{n}=q5_0" for n in ATTENTION), *(f"{n}=q8_0" for n in MLP), "token_embd=f16")
    done = compress(tiny_model(), formats=formats)
    variant = told(done)
    few, many = 64 * 64 + 2 * 32 * 64 + 64 * 64, 3 * 64 * 96
    assert variant["format"] == variant["container"] == "mixed"
    assert variant["bits"] == round((5 * few + 8 * many) / (few + many), 3)
    assert (variant["group"], variant["symmetric"]) == (32, True)
    assert (variant["embedding"], variant["embedding_bits"]) == ("f16", 16)
    assert {m.conditions["bits"] for m in done.manifest.measurements} == {variant["bits"]}


def test_what_matrices_do_not_share_is_said_to_be_mixed(tiny_model: Make, compress: Run) -> None:
    formats = (*(f"{n}=q4_1" for n in ATTENTION), *(f"{n}=int4-sym-g32" for n in MLP))
    formats = (*formats, "blk.1.attn_q.weight=int4-asym-g64")
    variant = told(compress(tiny_model(), formats=formats))
    assert (variant["group"], variant["symmetric"], variant["bits"]) == ("mixed", None, 4)


def test_one_format_for_every_matrix_is_named_as_if_it_were_the_default(
    tiny_model: Make, compress: Run
) -> None:
    variant = told(compress(tiny_model(), formats=[f"{n}=q5_1" for n in (*ATTENTION, *MLP)]))
    plain = told(compress(tiny_model(), format="q5_1"))
    for key in ("format", "bits", "group", "symmetric", "container", "embedding"):
        assert variant[key] == plain[key]


def test_the_format_of_matrices_without_an_own_one_is_still_the_settings(
    tiny_model: Make, compress: Run
) -> None:
    variant = told(compress(tiny_model(), bits=4, formats=("ffn_down=q8_0",)))
    assert (variant["format"], variant["bits"], variant["container"]) == ("q4_0", 4, "Q4_0")


@pytest.mark.parametrize(("wanted", "nested"), [("q4_0", True), ("q8_0", False)])
def test_a_grid_nests_in_the_base_s_by_the_formats_in_the_file(
    tiny_model: Make, compress: Run, wanted: str, nested: bool
) -> None:
    formats = [f"{n}={wanted}" for n in (*ATTENTION, *MLP)]
    file = open_gguf(tiny_model(stored="Q5_0"))
    variant = told(compress(file.path, formats=formats))
    assert variant["nested_in_reference_grid"] is nested
    floats = {n: TensorData("F32", t.shape, file.dequantize(n)) for n, t in file.tensors.items()}
    write_gguf(file.path.with_name("floats.gguf"), file.fields, floats)
    same = told(compress(file.path.with_name("floats.gguf"), formats=formats))
    assert same["nested_in_reference_grid"] is nested
    plain = told(compress(tiny_model("plain.gguf"), formats=formats))
    assert plain["nested_in_reference_grid"] is False
