"""Fitting k-quants: better than min-max everywhere, better than llama.cpp on the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seemant.core.errors import BadConfig
from seemant.formats.grids import snap, value
from seemant.formats.kquant_fit import fit_k
from seemant.formats.kquants import LAYOUTS, KParams, unpack_k_values
from seemant.formats.tensor_format import fit_format, format_of
from tests.formats import ggml
from tests.formats.hard import drawn

KINDS = ["q3_k", "q4_k", "q5_k", "q6_k"]
W = np.random.default_rng(2).standard_normal((24, 512)).astype(np.float32)
OMEGA = np.random.default_rng(3).gamma(0.5, 1, 512).astype(np.float32)


def error(w: np.ndarray, params: KParams, omega: np.ndarray | float = 1.0) -> np.ndarray:
    """The weighted squared error of every super-block."""
    got = value(snap(w.reshape(len(w), -1, params.grid.group or 0), params), params)
    off = (got.reshape(w.shape).astype(np.float64) - w) ** 2 * omega
    return off.reshape(len(w), -1, 256).sum(-1)


def fitted(w: np.ndarray, kind: str, search: str, omega: np.ndarray | None = None) -> KParams:
    params = fit_format(w, format_of(kind), search=search, importance=omega)  # type: ignore[arg-type]
    assert isinstance(params, KParams)
    return params


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [True, False])
def test_the_search_beats_min_max_and_llama_cpp(kind: str, weighted: bool) -> None:
    omega = OMEGA if weighted else None
    counted = OMEGA if weighted else 1.0
    best = error(W, fitted(W, kind, "mse", omega), counted)
    assert (best <= error(W, fitted(W, kind, "minmax"), counted) * (1 + 1e-5)).all()
    theirs = unpack_k_values(ggml.quantize(W, kind.upper(), omega), kind)
    assert best.sum() < ((theirs - W) ** 2 * counted).sum()


@given(
    st.integers(0, 2**32).map(lambda seed: drawn(seed, 4, 256)),
    st.integers(0, 2**32).map(lambda seed: np.abs(drawn(seed, 256))),
    st.sampled_from(KINDS),
)
@settings(max_examples=60, deadline=None)
def test_no_super_block_is_worse_than_min_max(w: np.ndarray, omega: np.ndarray, kind: str) -> None:
    plain, best = fitted(w, kind, "minmax"), fitted(w, kind, "mse", omega)
    assert (error(w, best, omega) <= error(w, plain, omega) * (1 + 1e-5) + 1e-30).all()
    layout = LAYOUTS[kind]
    for params in (plain, best):
        assert layout.lowest <= params.sub.min() <= params.sub.max() <= layout.highest
        if params.dmin is not None and params.sub_min is not None:
            assert (params.dmin >= 0).all() and params.sub_min.min() >= 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("search", ["minmax", "mse"])
def test_the_unit_of_the_weights_changes_no_code(kind: str, search: str) -> None:
    params, larger = fitted(W, kind, search), fitted(W * 16, kind, search)
    np.testing.assert_array_equal(params.sub, larger.sub)
    np.testing.assert_array_equal(params.scale * 16, larger.scale)


@pytest.mark.parametrize("kind", KINDS)
def test_min_max_equals_the_plain_loop(kind: str) -> None:
    params = fitted(W[:3], kind, "minmax")
    for row in range(3):
        for block in range(2):
            scale, offset = naive(W[row, 256 * block : 256 * (block + 1)], kind)
            n = len(scale)
            at = slice(n * block, n * (block + 1))
            np.testing.assert_array_equal(params.scale[row, at, 0], scale)
            if params.offset is not None:
                np.testing.assert_array_equal(params.offset[row, at, 0], offset)


def naive(w: np.ndarray, kind: str) -> tuple[list[np.float32], list[np.float32]]:
    """The definition, group by group."""
    f, layout = np.float32, LAYOUTS[kind]
    groups = w.reshape(-1, layout.group)
    if layout.symmetric:
        scales = [max(g, key=abs) / f(layout.grid.lowest) for g in groups]
        d = f(np.float16(max(scales, key=abs) / f(layout.lowest)))
        whole = [np.clip(np.rint(s * (f(1) / d)), layout.lowest, layout.highest) for s in scales]
        return [d * f(n) for n in whole], []
    low = [min(min(g), f(0)) for g in groups]
    scales = [(max(g) - m) / f(layout.grid.highest) for g, m in zip(groups, low, strict=True)]
    d = f(np.float16(max(scales) / f(63)))
    dmin = f(np.float16(-min(low) / f(63)))
    sc = [min(63, np.rint(s * (f(1) / d))) for s in scales]
    mn = [min(63, np.rint(-m * (f(1) / dmin))) for m in low]
    return [d * f(n) for n in sc], [-(dmin * f(n)) for n in mn]


def test_zeros_stay_zeros() -> None:
    zeros = np.zeros((1, 256), np.float32)
    for kind in KINDS:
        for search in ("minmax", "mse"):
            assert (error(zeros, fitted(zeros, kind, search)) == 0).all()


def test_hqq_is_refused() -> None:
    with pytest.raises(BadConfig, match="hqq does not fit q4_k"):
        fit_k(W.reshape(24, -1, 32), "q4_k", "hqq")
