"""Masks: equal a plain loop's, exact in number, N:M in every group of M."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seemant.compress.prune.masks import Pattern, count, holds, mask, pattern_of
from seemant.compress.prune.scores import magnitude, obs, wanda
from seemant.core.errors import BadConfig

SCORES = arrays(np.float32, (3, 16), elements=st.floats(0, 4, width=16))


def naive_lowest(scores: list[float], k: int) -> list[bool]:
    """One at a time: the first of the lowest that are left."""
    pruned = [False] * len(scores)
    for _ in range(k):
        left = [i for i, gone in enumerate(pruned) if not gone]
        pruned[min(left, key=lambda i: (scores[i], i))] = True
    return pruned


@given(SCORES, st.sampled_from([0.1, 0.25, 0.5, 0.7]))
def test_a_share_of_each_row_is_the_plain_loop_s(score: np.ndarray, share: float) -> None:
    expected = [naive_lowest(list(row), int(share * 16)) for row in score]
    assert (mask(score, Pattern(share)) == np.array(expected)).all()


@given(SCORES, st.sampled_from([0.1, 0.5, 0.7]))
def test_a_share_of_the_matrix_is_the_plain_loop_s(score: np.ndarray, share: float) -> None:
    expected = np.array(naive_lowest(list(score.ravel()), int(share * 48 + 1e-6)))
    assert (mask(score, Pattern(share), within="tensor") == expected.reshape(3, 16)).all()


@given(SCORES, st.sampled_from(["2:4", "1:4", "4:8", "1:2"]))
def test_n_of_m_keeps_the_n_highest_of_every_m(score: np.ndarray, text: str) -> None:
    n, m = map(int, text.split(":"))
    pruned = mask(score, pattern_of(text)).reshape(-1, m)
    assert (pruned.sum(1) == m - n).all()
    for row, gone in zip(score.reshape(-1, m), pruned, strict=True):
        assert list(gone) == naive_lowest(list(row), m - n)


def test_a_share_that_is_whole_but_for_rounding_is_whole() -> None:
    assert count(0.7, 10) == 7 and count(0.29, 100) == 29 and count(0.5, 7) == 3


@pytest.mark.parametrize("text", ["unstructured:0.35", "2:4", "5:8"])
def test_a_pattern_s_name_leads_back_to_it(text: str) -> None:
    assert str(pattern_of(text)) == text


@pytest.mark.parametrize("text", ["", "4:2", "2:2", "0:4", "unstructured:1", "unstructured:0", "x"])
def test_an_unknown_pattern_is_refused(text: str) -> None:
    with pytest.raises(BadConfig, match="no sparsity pattern is called"):
        pattern_of(text)


def test_a_row_that_m_does_not_divide_is_refused_by_name() -> None:
    with pytest.raises(BadConfig, match="2:4 does not divide a row of 18") as caught:
        mask(np.ones((2, 18), np.float32), pattern_of("2:4"), name="blk.0.ffn_up.weight")
    assert "blk.0.ffn_up.weight" in str(caught.value)


def test_scores_are_those_of_their_papers() -> None:
    rng = np.random.default_rng(0)
    w, x = rng.standard_normal((2, 3)).astype(np.float32), rng.standard_normal((50, 3))
    norms = np.sqrt((x**2).sum(0))
    ours = wanda(w, (x**2).mean(0).astype(np.float32))
    np.testing.assert_allclose(ours * np.sqrt(50), np.abs(w) * norms, rtol=1e-5)
    assert (magnitude(w) == np.abs(w)).all()
    u = np.array([2, 0.5, 1], np.float32)
    np.testing.assert_allclose(obs(w, u), w**2 / u**2, rtol=1e-6)


@pytest.mark.parametrize("text", ["unstructured:0.3", "unstructured:0.5", "2:4", "1:4"])
@pytest.mark.parametrize("within", ["row", "tensor"])
def test_a_mask_holds_its_own_pattern_and_not_with_many_zeros_fewer(text: str, within: str) -> None:
    pattern = pattern_of(text)
    score = np.random.default_rng(0).random((64, 128), np.float32)
    zeros = np.hstack([mask(score[:, part], pattern, within="tensor") for part in HALVES])
    for found in (mask(score, pattern, within=within), zeros):  # type: ignore[arg-type]
        assert holds(found, pattern)
    if pattern.m is not None:
        zeros[7, np.flatnonzero(zeros[7])[0]] = False
        assert not holds(zeros, pattern)
    zeros[::4] = False
    assert not holds(zeros, pattern)


HALVES = (slice(0, 64), slice(64, 128))
