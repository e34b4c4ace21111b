"""The paired bootstrap against plain loops and on data with a known answer."""

import numpy as np
import pytest

from seemant.frontier.bootstrap import (
    draw,
    p_dominated,
    resampled_means,
    worst_language_difference,
)


def test_each_draw_has_as_many_families_as_there_are() -> None:
    counts = draw(40, 500, seed=1)
    assert counts.shape == (500, 40)
    assert set(counts.sum(axis=1)) == {40.0}
    assert np.array_equal(counts, draw(40, 500, seed=1))
    assert not np.array_equal(counts, draw(40, 500, seed=2))


def test_means_equal_plain_loops_and_leave_missing_scores_out() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=(3, 2, 5))
    scores[1, 0, 2] = np.nan
    scores[2, 1, :] = np.nan
    counts = draw(5, 20, seed=0)
    got = resampled_means(scores, counts)
    for r in range(20):
        for c in range(3):
            for lang in range(2):
                values = [
                    scores[c, lang, f]
                    for f in range(5)
                    for _ in range(int(counts[r, f]))
                    if not np.isnan(scores[c, lang, f])
                ]
                expected = np.mean(values) if values else -np.inf
                assert got[r, c, lang] == pytest.approx(expected)


def test_a_clearly_better_and_smaller_candidate_dominates_in_every_resample() -> None:
    noise = np.random.default_rng(0).normal(size=(1, 1, 30))
    scores = np.concatenate([noise + 1.0, noise])
    chance = p_dominated(scores, np.array([[10.0], [20.0]]), draw(30, 400, seed=0))
    assert chance.tolist() == [0.0, 1.0]


def test_of_two_equal_candidates_in_quality_the_larger_file_loses_always() -> None:
    same = np.random.default_rng(3).normal(size=(1, 2, 30))
    scores = np.concatenate([same, same])
    chance = p_dominated(scores, np.array([[10.0], [11.0]]), draw(30, 400, seed=0))
    assert chance.tolist() == [0.0, 1.0]


def test_a_larger_file_with_a_coin_flips_quality_is_dominated_half_the_time() -> None:
    difference = np.array([1.0, -1.0] * 20)
    scores = np.stack([np.zeros((1, 40)), difference[None]])
    chance = p_dominated(scores, np.array([[10.0], [11.0]]), draw(40, 4000, seed=0))
    # dominated when the resampled mean is at or below 0: about half, and ties (13 %) count
    assert 0.5 < chance[1] < 0.62
    assert chance[0] == 0.0


def test_pairing_makes_a_small_constant_difference_certain() -> None:
    hard = np.random.default_rng(0).normal(scale=10.0, size=(2, 40))
    value, low, high = worst_language_difference(hard + 0.1, hard, draw(40, 1000, seed=0))
    assert value == pytest.approx(0.1)
    assert low == pytest.approx(0.1) and high == pytest.approx(0.1)


def test_the_worst_language_counts() -> None:
    flat = np.zeros((2, 20))
    lopsided = np.stack([np.full(20, 5.0), np.full(20, -1.0)])
    value, low, high = worst_language_difference(lopsided, flat, draw(20, 200, seed=0))
    assert (value, low, high) == (-1.0, -1.0, -1.0)


def test_a_resample_without_a_language_leaves_the_interval_finite() -> None:
    hindi, kannada = np.full(48, np.nan), np.full(48, np.nan)
    hindi[:40], kannada[40:] = 1.0, 0.5  # no family asks in both
    scores = np.stack([hindi, kannada])
    counts = draw(48, 4000, seed=0)
    assert (counts[:, 40:].sum(1) == 0).any(), "some resample holds no Kannada family"
    assert worst_language_difference(scores + 0.2, scores, counts) == pytest.approx((0.2,) * 3)


def test_the_interval_covers_a_known_difference_most_of_the_time() -> None:
    counts = draw(40, 600, seed=5)
    random = np.random.default_rng(11)
    covered = 0
    for _ in range(200):
        difficulty = random.normal(size=(1, 40))
        a = difficulty + 0.3 + random.normal(scale=0.5, size=(1, 40))
        b = difficulty + random.normal(scale=0.5, size=(1, 40))
        _, low, high = worst_language_difference(a, b, counts)
        covered += low <= 0.3 <= high
    assert 0.89 <= covered / 200 <= 0.99
