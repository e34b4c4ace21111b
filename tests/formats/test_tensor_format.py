"""One face for all formats: names, what fits, and the law that a file changes nothing."""

import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants

from seemant.core.errors import BadConfig, BadFile
from seemant.formats.tensor_format import (
    NAMES,
    FormatImpossible,
    Search,
    fit_format,
    fits,
    format_for,
    format_of,
    joined,
    pack_format,
    rows_of,
    snap_format,
    stored_numbers,
    unpack_format,
    value_format,
)
from tests.formats import ggml
from tests.formats.hard import hard_rows

FREE = ["int3-sym-g32", "int4-sym-g128", "int2-asym-g64", "int3-asym-channel", "int8-sym-channel"]
W = np.random.default_rng(3).standard_normal((6, 512)).astype(np.float32)
CASES = [
    (name, search)
    for name in [*NAMES, *FREE]
    for search in ("minmax", "mse", "hqq")
    if not (search == "hqq" and name.endswith("_k"))
]


@pytest.mark.parametrize(("name", "search"), CASES)
def test_a_file_changes_no_value_and_gguf_py_reads_the_same(name: str, search: Search) -> None:
    rows, form = hard_rows(n_random=1000 if search == "minmax" else 60), format_of(name)
    params = fit_format(rows, form, search=search)
    codes = snap_format(rows, params)
    ours = value_format(codes, params)
    raw = pack_format(codes, params, form)
    back_codes, back_params = unpack_format(raw, form)
    np.testing.assert_array_equal(back_codes, codes)
    same_bits(value_format(back_codes, back_params), ours)
    assert form.container is not None
    same_bits(quants.dequantize(raw, GGMLQuantizationType[form.container]), ours)
    assert ours.shape == rows.shape
    assert raw.nbytes * 8 == rows.size * form.bits_per_weight


@pytest.mark.parametrize("name", [n for n in NAMES if n != "f16"])
def test_llama_cpp_reads_the_values_that_were_chosen(name: str) -> None:
    rows, form = hard_rows(), format_of(name)
    params = fit_format(rows, form)
    codes = snap_format(rows, params)
    raw = pack_format(codes, params, form)
    same_bits(ggml.dequantize(raw, name.upper()), value_format(codes, params))


def same_bits(a: np.ndarray, b: np.ndarray) -> None:
    """Minus zero is zero; everything else is the same to the last bit."""
    np.testing.assert_array_equal((a + 0.0).view(np.uint32), (b + 0.0).view(np.uint32))


@pytest.mark.parametrize("name", [*NAMES, *FREE, "int5-asym-g16", "int7-asym-channel"])
def test_names_come_back(name: str) -> None:
    form = format_of(name)
    assert form.name == name
    if not form.is_k and not form.is_float:
        assert format_for(form.grid) == form
    assert format_of(name.upper()) == form


def test_bits_and_containers() -> None:
    assert format_of("int4-sym-g32") == format_of("q4_0")
    three = format_of("int3-sym-g128")
    assert (three.container, three.simulated, three.bits_per_weight) == ("Q4_0", True, 4.5)
    assert three.ideal_bits == 3.125
    wide = format_of("int4-sym-g128")
    assert (wide.container, wide.simulated, wide.ideal_bits) == ("Q4_0", False, 4.125)
    none = format_of("int7-asym-g32")
    assert (none.container, none.simulated, none.bits_per_weight) == (None, True, 8.0)
    assert format_of("int4-sym-g16").container is None  # blocks of 32 hold one scale
    bits = {n: format_of(n).bits_per_weight for n in ("q3_k", "q4_k", "q5_k", "q6_k", "q5_1")}
    assert bits == {"q3_k": 3.4375, "q4_k": 4.5, "q5_k": 5.5, "q6_k": 6.5625, "q5_1": 6.0}
    assert not format_of("q4_k").simulated


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("q4_2", "did you mean"),
        ("int9-sym-g32", "int3-sym"),
        ("int4-sym-g0", "int"),
        ("q2_k", "q3_k"),
    ],
)
def test_unknown_formats_are_refused_with_a_hint(name: str, hint: str) -> None:
    with pytest.raises(BadConfig, match=hint):
        raise_with_text(name)


def raise_with_text(name: str) -> None:
    try:
        format_of(name)
    except BadConfig as error:
        raise BadConfig(str(error)) from error


def test_a_row_that_cannot_hold_the_format_is_named_with_what_fits() -> None:
    with pytest.raises(FormatImpossible, match="q4_k needs rows of a multiple of 256") as caught:
        fits(format_of("q4_k"), 640, name="blk.0.attn_q.weight")
    assert "blk.0.attn_q.weight" in str(caught.value)
    assert "q5_0" in str(caught.value) and "q6_k" not in str(caught.value)
    assert "32, 64, 128, 160" in str(caught.value)
    fits(format_of("q4_k"), 512)
    fits(format_of("int7-asym-channel"), 40)
    with pytest.raises(FormatImpossible):
        fits(format_of("int4-sym-channel"), 40)  # the layout's blocks are of 32
    with pytest.raises(FormatImpossible):
        fit_format(W[:, :200], format_of("q8_0"))


@pytest.mark.parametrize("name", ["q4_0", "q4_1", "q4_k", "q6_k", "int3-sym-g128"])
def test_blocks_of_columns_and_of_rows_join_to_the_whole(name: str) -> None:
    form = format_of(name)
    assert form.block is not None
    whole = fit_format(W, form, search="mse")
    step = form.block
    columns = [fit_format(W[:, a : a + step], form, search="mse") for a in range(0, 512, step)]
    rows = [fit_format(W[a : a + 2], form, search="mse") for a in (0, 2, 4)]
    expected = pack_format(snap_format(W, whole), whole, form)
    for params in (joined(columns, 1), joined(rows, 0)):
        np.testing.assert_array_equal(pack_format(snap_format(W, params), params, form), expected)
    some, codes = slice(1, 3), snap_format(W, whole)
    packed = pack_format(codes[some], rows_of(whole, some), form)
    np.testing.assert_array_equal(packed, expected[some])


def test_stored_numbers_are_what_a_file_keeps() -> None:
    for name, n_arrays in {"q4_0": 1, "q4_1": 2, "q6_k": 2, "q4_k": 4}.items():
        form = format_of(name)
        params = fit_format(W, form)
        codes = snap_format(W, params)
        _, back = unpack_format(pack_format(codes, params, form), form)
        kept, read = stored_numbers(params), stored_numbers(back)
        assert len(kept) == n_arrays
        for one, other in zip(kept, read, strict=True):
            assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", ["f16", "q4_0", "q4_k", "q6_k"])
def test_weights_that_no_fp16_holds_are_refused(name: str) -> None:
    for bad in (np.float32(3e9), np.float32("nan")):
        rows = W.copy()
        rows[1, 7] = bad
        with pytest.raises(BadFile, match="too large"):
            fit_format(rows, format_of(name), search="mse")


def test_blocks_that_should_share_a_scale_and_do_not_are_refused() -> None:
    form = format_of("q4_0")
    params = fit_format(W, form)
    raw = pack_format(snap_format(W, params), params, form)
    with pytest.raises(BadFile, match="different scales"):
        unpack_format(raw, format_of("int4-sym-g64"))


def test_importance_of_a_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="importance of shape"):
        fit_format(W, format_of("q4_0"), search="mse", importance=np.ones(511, np.float32))
