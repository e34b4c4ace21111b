"""The sampler against a naive one, and what its settings promise."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from seemant.core.errors import BadConfig
from seemant.models.backends.protocol import Sampling
from seemant.models.backends.sampling import choose, nucleus, penalised

Logits = NDArray[np.float32]
logits_of = arrays(
    np.float32, st.integers(2, 300), elements=st.integers(-80, 80).map(lambda n: n / 4)
)


def naive_nucleus(logits: Logits, temperature: float, top_p: float) -> list[int]:
    weights = [math.exp(float(x) / temperature - float(logits.max()) / temperature) for x in logits]
    total = sum(weights)
    order = sorted(range(len(weights)), key=lambda i: (-weights[i], i))
    kept, mass = [], 0.0
    for index in order:
        kept.append(index)
        mass += weights[index] / total
        if mass >= top_p:
            break
    return kept


@given(logits_of, st.floats(0.1, 3), st.floats(0.05, 0.999))
def test_the_nucleus_is_the_naive_one(logits: Logits, temperature: float, top_p: float) -> None:
    ids, probabilities = nucleus(logits, temperature, top_p)
    expected = naive_nucleus(logits, temperature, top_p)
    # Sums in another order may end one token earlier or later exactly at the border.
    assert abs(len(ids) - len(expected)) <= 1
    shorter = min(len(ids), len(expected))
    assert ids[:shorter].tolist() == expected[:shorter]
    assert probabilities.sum() >= top_p - 1e-9
    assert (np.diff(probabilities) <= 0).all()


@given(logits_of, st.floats(0.1, 3))
def test_top_p_of_one_keeps_every_token(logits: Logits, temperature: float) -> None:
    ids, probabilities = nucleus(logits, temperature, 1.0)
    assert ids.tolist() == list(range(len(logits)))
    assert probabilities.sum() == pytest.approx(1.0)


@given(logits_of, st.floats(1.01, 2), st.data())
def test_a_penalty_lowers_seen_tokens_and_touches_no_other(
    logits: Logits, penalty: float, data: st.DataObject
) -> None:
    seen = data.draw(st.sets(st.integers(0, len(logits) - 1)))
    before = logits.copy()
    after = penalised(logits, seen, penalty)
    assert (logits == before).all()
    for index, (old, new) in enumerate(zip(before, after, strict=True)):
        if index in seen:
            assert new == pytest.approx(old / penalty if old > 0 else old * penalty, rel=1e-6)
            assert new <= old
        else:
            assert new == old


@given(logits_of)
def test_greedy_takes_the_first_of_the_largest_and_draws_nothing(logits: Logits) -> None:
    rng = np.random.default_rng(5)
    assert choose(logits, set(), Sampling(), rng) == max(
        range(len(logits)), key=lambda i: (logits[i], -i)
    )
    assert rng.random() == np.random.default_rng(5).random()


def test_the_penalty_reaches_the_greedy_choice() -> None:
    logits = np.array([2.0, 1.9, -1.0], np.float32)
    rng = np.random.default_rng(0)
    assert choose(logits, {0}, Sampling(repetition_penalty=1.1), rng) == 1


def test_draws_have_the_nucleus_frequencies() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))
    rng = np.random.default_rng(1)
    sampling = Sampling(temperature=1.0, top_p=0.9)
    drawn = [choose(logits, set(), sampling, rng) for _ in range(20_000)]
    shares = np.bincount(drawn, minlength=4) / len(drawn)
    np.testing.assert_allclose(shares, np.array([0.5, 0.3, 0.15, 0.0]) / 0.95, atol=0.015)


def test_the_same_seed_draws_the_same_tokens() -> None:
    logits = np.random.default_rng(2).normal(size=1000).astype(np.float32)
    runs = []
    for _ in range(2):
        rng = np.random.default_rng(9)
        sampling = Sampling(temperature=2.0)
        runs.append([choose(logits, set(), sampling, rng) for _ in range(20)])
    assert runs[0] == runs[1]
    assert len(set(runs[0])) > 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"top_p": 0.0},
        {"top_p": 1.01},
        {"repetition_penalty": 0.0},
        {"max_new_tokens": 0},
        {"seed": -1},
    ],
)
def test_impossible_settings_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(BadConfig, match=next(iter(wrong))):
        Sampling(**wrong)  # type: ignore[arg-type]
