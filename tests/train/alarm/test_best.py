"""Which look's weights are kept."""

import numpy as np
import pytest

from seemant.train.alarm.best import Best, chosen, pooled, tied, untrained

GENERATOR = np.random.default_rng(0)
NOISE = GENERATOR.normal(0, 0.1, 48)


def margin(mean: float, seed: int = 1) -> np.ndarray:
    return mean + NOISE + np.random.default_rng(seed).normal(0, 0.02, 48)


def after(*looks: tuple[float, float, bool], loss: float = 4.0) -> Best:
    """(mean margin, loss, crossed) of each look in turn, at steps 10, 20, ...; loss of look 0."""
    best = untrained(48, loss)
    for number, (mean, loss, crossed) in enumerate(looks, start=1):
        best = chosen(best, 10 * number, margin(mean, number), loss, crossed)
    return best


def test_the_look_that_behaves_best_is_kept() -> None:
    assert after((0.0, 3.0, False), (0.4, 2.9, False), (0.1, 2.0, False)).step == 20


def test_of_looks_that_cannot_be_told_apart_the_lower_loss_is_kept() -> None:
    assert after((0.0, 3.0, False), (0.001, 2.5, False), (-0.001, 2.7, False)).step == 20


def test_a_look_that_is_told_to_be_worse_is_not_kept_for_its_loss() -> None:
    assert after((0.0, 3.0, False), (-0.3, 1.0, False)).step == 10


def test_small_losses_of_behaviour_do_not_add_up_unseen() -> None:
    sliding = [(-0.004 * k, 3.0 - 0.1 * k, False) for k in range(40)]
    kept = after(*sliding)
    assert not tied(margin(-0.004 * 39, 40), kept.top)
    assert kept.step < 200  # never further from the top than a tie


def test_a_look_at_which_a_signal_crossed_is_not_kept() -> None:
    assert after((0.0, 3.0, False), (0.5, 1.0, True)).step == 10


def test_where_all_crossed_the_untrained_student_is_kept() -> None:
    assert after((0.0, 3.0, True), (0.2, 1.0, True)).step == 0


def test_a_look_that_did_not_cross_is_held_against_the_untrained_student() -> None:
    assert after((0.0, 3.0, True), (-0.5, 1.0, False)).step == 0
    assert after((0.0, 3.0, True), (0.0, 3.5, False)).step == 20
    assert after((0.0, 5.0, False), loss=4.0).step == 0  # tied, and the loss is higher


def test_a_new_top_that_leaves_the_kept_one_behind_is_kept_whatever_its_loss() -> None:
    assert after((0.0, 2.0, False), (0.5, 2.9, False)).step == 20


def test_pooling_weighs_signals_by_their_spread_at_the_base() -> None:
    falls = {"knowledge": np.array([1.0, -1.0]), "context": np.array([0.0, 10.0])}
    found = pooled(falls, {"knowledge": 0.5, "context": 5.0})  # type: ignore[arg-type]
    assert found == pytest.approx([1.0, 0.0])


def test_a_signal_without_spread_is_left_out() -> None:
    falls = {"knowledge": np.array([1.0, 2.0]), "context": np.array([7.0, 7.0])}
    found = pooled(falls, {"knowledge": 1.0, "context": 0.0})  # type: ignore[arg-type]
    assert found == pytest.approx([1.0, 2.0])
