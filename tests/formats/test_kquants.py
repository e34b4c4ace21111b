"""k-quants: every byte pattern reads as gguf-py and llama.cpp read it, and packs back."""

import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants

from seemant.formats.blocks import dequantize_rows
from seemant.formats.grids import value
from seemant.formats.kquants import LAYOUTS, pack_k, unpack_k, unpack_k_values
from tests.formats import ggml

KINDS = sorted(LAYOUTS)
SCALES_AT = {"q2_k": (80, 82), "q3_k": (108,), "q4_k": (0, 2), "q5_k": (0, 2), "q6_k": (208,)}


def any_bytes(kind: str, *, finite: bool) -> np.ndarray:
    """1,000 rows of two blocks: random bytes, and hard super-scales."""
    n = LAYOUTS[kind].n_bytes
    raw = np.random.default_rng(11).integers(0, 256, (1000, 2 * n), dtype=np.uint8)
    for at in SCALES_AT[kind]:
        if finite:
            raw[:, [at + 1, n + at + 1]] &= 0xBF  # no exponent of all ones
        raw[1, at : at + 2] = [0x01, 0x00]  # the smallest subnormal
        raw[2, at : at + 2] = [0x00, 0x80]  # minus zero
        raw[3, at : at + 2] = [0xFF, 0xBB if finite else 0xFB]  # negative, large
        if not finite:
            raw[4, at : at + 2] = [0x00, 0x7C]  # infinite
    raw[0] = 0
    return raw


@pytest.mark.parametrize("kind", KINDS)
def test_values_of_any_bytes_equal_gguf_py_bit_for_bit(kind: str) -> None:
    raw = any_bytes(kind, finite=False)
    with np.errstate(invalid="ignore", over="ignore"):
        theirs = quants.dequantize(raw, GGMLQuantizationType[kind.upper()])
    ours = unpack_k_values(raw, kind)
    same = (ours.view(np.uint32) == theirs.view(np.uint32)) | (np.isnan(ours) & np.isnan(theirs))
    assert same.all()
    codes, params = unpack_k(raw, kind)
    with np.errstate(invalid="ignore"):
        slow = value(codes, params).reshape(ours.shape)
    assert ((slow.view(np.uint32) == ours.view(np.uint32)) | np.isnan(ours)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_values_of_any_bytes_equal_llama_cpp(kind: str) -> None:
    raw = any_bytes(kind, finite=True)
    np.testing.assert_array_equal(ggml.dequantize(raw, kind.upper()), unpack_k_values(raw, kind))


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "q2_k"])
def test_what_was_read_packs_to_the_same_bytes(kind: str) -> None:
    raw = any_bytes(kind, finite=True)
    np.testing.assert_array_equal(pack_k(*unpack_k(raw, kind)), raw)


@pytest.mark.parametrize("kind", KINDS)
def test_the_reader_of_files_uses_them(kind: str) -> None:
    raw = any_bytes(kind, finite=True)[:5]
    np.testing.assert_array_equal(dequantize_rows(raw, kind.upper()), unpack_k_values(raw, kind))


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "q2_k"])
def test_codes_and_scales_of_llama_cpp_s_own_files_are_in_range(kind: str) -> None:
    w = np.random.default_rng(5).standard_normal((4, 512)).astype(np.float32)
    codes, params = unpack_k(ggml.quantize(w, kind.upper()), kind)
    grid, layout = params.grid, LAYOUTS[kind]
    assert (codes.min(), codes.max()) == (grid.lowest, grid.highest)
    assert layout.lowest <= params.sub.min() <= params.sub.max() <= layout.highest
    error = np.abs(value(codes, params).reshape(w.shape) - w)
    assert (error <= 2 * np.abs(params.scale).repeat(layout.group, 1).reshape(w.shape)).all()
