"""Merged adapters on a grid nested in the base's own: applied once, neither lost nor multiplied."""

import numpy as np
import pytest

from seemant.compress.methods.config import MethodConfig
from seemant.compress.methods.matrix import Matrix
from seemant.compress.methods.rtn import run
from seemant.compress.methods.ties import broken_at_random, ties_of
from seemant.formats.tensor_format import fit_format, format_of, snap_format, value_format

Q4, Q5 = format_of("q4_0"), format_of("q5_0")


@pytest.fixture(scope="module")
def base() -> np.ndarray:
    """Return weights as a Q5_0 file holds them."""
    w = np.random.default_rng(0).normal(0, 0.05, (256, 512)).astype(np.float32)
    params = fit_format(w, Q5)
    return value_format(snap_format(w, params), params)


@pytest.fixture(scope="module")
def change() -> np.ndarray:
    """Return a LoRA's change, some thousandths of the weights."""
    draw = np.random.default_rng(1)
    b, a = draw.normal(size=(256, 4)), draw.normal(size=(4, 512))
    return (1.5e-4 * b @ a).astype(np.float32)


def gain(values: np.ndarray, base: np.ndarray, change: np.ndarray) -> float:
    return float(np.vdot(values - base, change) / np.vdot(change, change))


def rounded(w: np.ndarray, base: np.ndarray | None, name: str = "m") -> np.ndarray:
    return value_format(*run(Matrix(name, w, Q4, base=base), MethodConfig()))


def test_half_of_a_q5_base_lies_at_ties_of_q4(base: np.ndarray) -> None:
    ties = ties_of(base, fit_format(base, Q4))
    assert ties is not None and 0.4 < ties.mean() < 0.6
    steps = base.reshape(256, 16, 32) * fit_format(base, Q4).inverse
    assert np.allclose(np.abs(steps - np.rint(steps))[ties], 0.5, atol=0.03)


def test_weights_never_rounded_have_no_nested_grid(base: np.ndarray) -> None:
    free = base + np.random.default_rng(2).normal(0, 0.01, base.shape).astype(np.float32)
    assert ties_of(free, fit_format(free, Q4)) is None


def test_to_nearest_an_adapter_is_multiplied_and_with_its_base_applied_once(
    base: np.ndarray, change: np.ndarray
) -> None:
    w = base + change
    assert gain(rounded(w, None), base, change) > 4
    gains = [gain(rounded(w, base, f"m{i}"), base, change) for i in range(8)]
    assert np.mean(gains) == pytest.approx(1, abs=4 * np.std(gains) / np.sqrt(8) + 0.05)


def test_the_error_is_no_larger_than_a_tie_can_cost(base: np.ndarray, change: np.ndarray) -> None:
    w = base + change
    nearest, ours = rounded(w, None), rounded(w, base)
    step = np.abs(fit_format(w, Q4).scale)
    worst = np.abs(ours - w).reshape(step.shape[0], step.shape[1], -1)
    inside = np.abs(w.reshape(worst.shape) - ours.reshape(worst.shape)) <= 0.56 * step
    assert inside.mean() > 0.99  # the highest code of a symmetric grid is clipped
    assert np.linalg.norm(ours - w) < 1.06 * np.linalg.norm(nearest - w)


def test_only_ties_change_their_codes(base: np.ndarray, change: np.ndarray) -> None:
    w, ties = base + change, ties_of(base, fit_format(base, Q4))
    assert ties is not None
    params = fit_format(w, Q4)
    codes = snap_format(w, params)
    broken = broken_at_random(codes, w, params, ties, np.random.default_rng(0))
    assert (broken == codes)[~ties].all()
    assert 0.3 < (broken != codes)[ties].mean() < 0.7


def test_two_ties_in_a_row_go_two_ways_where_nothing_was_added(base: np.ndarray) -> None:
    params = fit_format(base, Q4)
    ties = ties_of(base, params)
    assert ties is not None
    inner = ties & (np.abs(base.reshape(ties.shape) * params.inverse) < 6.9)
    codes = broken_at_random(
        snap_format(base, params), base, params, inner, np.random.default_rng(0)
    )
    steps = base.reshape(ties.shape) * params.inverse
    up = np.sign(codes - steps)
    for row, of_row in zip(up.reshape(256, -1), inner.reshape(256, -1), strict=True):
        signs = row[of_row]
        pairs = signs[: len(signs) // 2 * 2].reshape(-1, 2)
        assert (pairs.sum(1) == 0).mean() > 0.9  # fp16 scales decide the rest


def test_without_an_adapter_nothing_is_drawn(base: np.ndarray) -> None:
    params = fit_format(base, Q4)
    assert (rounded(base, None) == value_format(snap_format(base, params), params)).all()
