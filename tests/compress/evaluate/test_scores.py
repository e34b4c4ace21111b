"""Means, tails and paired ratios of damages with known answers."""

import math

import numpy as np
import pytest

from seemant.compress.evaluate.scores import Scores, kld_ratio
from seemant.probe.divergence import TokenDivergence


def scores(kld: np.ndarray, factor: float = 1.0) -> Scores:
    """kld (chunks, tokens)."""
    ones = np.ones(kld.shape[1])
    return Scores({"hi": tuple(TokenDivergence(factor * k, ones, k, ones) for k in kld)})


def test_a_constant_ratio_has_an_interval_of_no_width_however_the_chunks_vary() -> None:
    kld = np.random.default_rng(0).exponential(size=(12, 5)) * np.arange(1, 13)[:, None]
    found = kld_ratio(scores(kld, 0.5), scores(kld), "hi")
    assert (found.value, found.low, found.high, found.n) == pytest.approx((0.5, 0.5, 0.5, 60))
    mean = scores(kld).kld("hi")
    assert mean.low is not None and mean.high is not None and mean.low < kld.mean() < mean.high


def test_too_few_chunks_have_no_interval_and_other_tokens_no_ratio() -> None:
    one = scores(np.ones((3, 4)))
    assert one.kld("hi").low is None and one.kld("hi").value == 1
    assert one.perplexity_ratio("hi").value == pytest.approx(math.e)
    with pytest.raises(ValueError, match="different tokens"):
        kld_ratio(one, scores(np.ones((3, 5))), "hi")
    with pytest.raises(ValueError, match="no damage"):
        kld_ratio(one, scores(np.zeros((3, 4))), "hi")


def test_quantiles_show_the_tail() -> None:
    found = scores(np.arange(101.0)[None]).quantiles("hi")
    assert found == {"q50": 50, "q90": 90, "q99": 99, "q99.9": pytest.approx(99.9), "max": 100}
