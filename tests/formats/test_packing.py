"""Block layouts: bytes and values equal to gguf-py's and to llama.cpp's own."""

import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seemant.formats.grids import Grid, fit, grouped, snap, value
from seemant.formats.packing import CONTAINERS, container_of, pack, unpack, unpack_values
from tests.formats import ggml

NAMES = sorted(CONTAINERS)
TINY = 2.0**-20  # its scales are subnormal fp16 numbers


def hard_rows() -> np.ndarray:
    """1,000 random rows of two blocks, and the blocks that break quantisers."""
    rng = np.random.default_rng(7)
    random = rng.standard_normal((1000, 64)) * np.exp(rng.normal(0, 2, (1000, 1)))
    outlier = np.zeros((1, 64))
    outlier[0, 5] = -3.0
    special = [
        np.zeros((1, 64)),
        outlier,
        np.abs(random[:2]),
        -np.abs(random[:2]),
        np.full((1, 64), 0.7),
        np.full((1, 64), -0.7),
        random[:2] / np.abs(random[:2]).max() * TINY,
        np.tile([1.0, -1.0], (1, 32)),  # two largest: the first one wins
        np.linspace(-8, 7, 64)[None],
        np.arange(-32, 32)[None] / 2.0,  # every other weight exactly between two codes
    ]
    return np.concatenate([random, *special]).astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_rtn_bytes_equal_gguf_py(name: str) -> None:
    rows = hard_rows()
    grid = CONTAINERS[name].grid
    groups = grouped(rows, 32)
    params = fit(groups, grid)
    ours = pack(snap(groups, params), params, name)
    theirs = quants.quantize(rows, GGMLQuantizationType[name])
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", NAMES)
def test_rtn_bytes_equal_llama_cpp(name: str) -> None:
    rows = hard_rows()
    grid = CONTAINERS[name].grid
    groups = grouped(rows, 32)
    params = fit(groups, grid)
    ours = pack(snap(groups, params), params, name)
    np.testing.assert_array_equal(ours, ggml.quantize(rows, name))


@pytest.mark.parametrize("name", NAMES)
def test_values_of_any_bytes_equal_gguf_py_bit_for_bit(name: str) -> None:
    rng = np.random.default_rng(11)
    raw = rng.integers(0, 256, (1000, CONTAINERS[name].n_bytes * 2), dtype=np.uint8)
    raw[0] = 0
    raw[1, :2] = [0x00, 0x7C]  # an infinite scale
    raw[2, :2] = [0x01, 0x00]  # the smallest subnormal
    raw[3, :2] = [0x00, 0x80]  # minus zero
    with np.errstate(invalid="ignore"):
        theirs = quants.dequantize(raw, GGMLQuantizationType[name])
    ours = unpack_values(raw, name)
    same = (ours.view(np.uint32) == theirs.view(np.uint32)) | (np.isnan(ours) & np.isnan(theirs))
    assert same.all()
    codes, params = unpack(raw, name)
    slow = value(codes, params).reshape(ours.shape)
    assert ((slow.view(np.uint32) == ours.view(np.uint32)) | np.isnan(ours)).all()


@given(
    arrays(np.float32, (2, 128), elements=st.floats(-4, 4, width=32)),
    st.integers(2, 8),
    st.sampled_from([32, 64, 128, None]),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_packing_changes_no_code_and_no_value(
    w: np.ndarray, bits: int, group: int | None, symmetric: bool
) -> None:
    grid = Grid(bits, group, symmetric)
    name = container_of(grid)
    if name is None:
        assert not symmetric and bits > 5
        return
    groups = grouped(w, group)
    params = fit(groups, grid)
    codes = snap(groups, params)
    codes_back, params_back = unpack(pack(codes, params, name), name)
    np.testing.assert_array_equal(codes_back.reshape(2, -1), codes.reshape(2, -1))
    ours = value(codes, params).reshape(2, -1)
    back = value(codes_back, params_back).reshape(2, -1)
    np.testing.assert_array_equal(back.view(np.uint32), ours.view(np.uint32))


def test_a_grid_goes_into_the_smallest_layout_that_holds_it() -> None:
    assert [container_of(Grid(b, 32, True)) for b in range(2, 9)] == (
        ["Q4_0"] * 3 + ["Q5_0"] + ["Q8_0"] * 3
    )
    assert [container_of(Grid(b, 32, False)) for b in range(2, 9)] == (
        ["Q4_1"] * 3 + ["Q5_1"] + [None] * 3
    )
