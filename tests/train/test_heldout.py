"""The interval of the held-out loss: it covers, it clusters, it refuses."""

import numpy as np
import pytest

from seemant.core.measurement import TOO_FEW
from seemant.train.heldout import by_language, nats_per_token
from seemant.train.rows.render import IGNORED, Row


def row(paragraph: str, n_answer: int, lang="en") -> Row:
    targets = (IGNORED, *[7] * n_answer, IGNORED)
    ids = tuple(range(len(targets)))
    return Row(key="k", paragraph=paragraph, lang=lang, ids=ids, targets=targets, n_prompt=2)


def test_the_value_weighs_tokens_not_pairs() -> None:
    rows = [row(f"p{i}", 1) for i in range(8)] + [row("p8", 92)]
    ratio = nats_per_token([2.0] * 8 + [92.0], rows)
    assert ratio.value == pytest.approx(1.08)
    assert ratio.low is not None and ratio.low < 1.08 < ratio.high


def test_with_equal_lengths_it_is_the_plain_t_interval() -> None:
    from scipy.stats import ttest_1samp

    nats = [1.0, 2.0, 4.0, 3.0, 2.5, 6.0, 5.0, 3.5, 2.0]
    ratio = nats_per_token(nats, [row(f"p{i}", 1) for i in range(9)])
    plain = ttest_1samp(nats, 0.0).confidence_interval(0.95)
    assert (ratio.low, ratio.high) == pytest.approx((plain.low, plain.high))


def test_fewer_than_eight_paragraphs_have_no_interval() -> None:
    rows = [row(f"p{i // 3}", 5) for i in range(21)]
    ratio = nats_per_token([1.0] * 21, rows)
    assert (ratio.low, ratio.high, ratio.method, ratio.n_clusters) == (None, None, TOO_FEW, 7)
    assert ratio.n == 21


def test_twin_pairs_of_a_paragraph_do_not_narrow_it() -> None:
    nats = [1.0, 2.0, 4.0, 3.0, 2.5, 6.0, 5.0, 3.5, 2.0]
    one = nats_per_token(nats, [row(f"p{i}", 3) for i in range(9)])
    twice = nats_per_token(nats * 2, [row(f"p{i % 9}", 3) for i in range(18)])
    assert (twice.low, twice.high) == pytest.approx((one.low, one.high))


def test_it_covers_the_truth_about_95_times_in_100() -> None:
    random = np.random.default_rng(0)
    hits, trials = 0, 600
    for _ in range(trials):
        rows, nats = [], []
        for paragraph in range(12):
            own = random.normal(3.0, 0.5)  # pairs of a paragraph share its difficulty
            for _ in range(2):
                n = int(random.integers(5, 40))
                rows.append(row(f"p{paragraph}", n))
                nats.append(n * own + random.normal(0, 0.3) * n**0.5)
        ratio = nats_per_token(nats, rows)
        hits += ratio.low <= 3.0 <= ratio.high
    assert 0.91 <= hits / trials <= 0.98


def test_languages_are_grouped_beside_the_whole() -> None:
    rows = [row("a", 1, "hi"), row("b", 1, "kn"), row("c", 1, "hi")]
    assert by_language(rows) == {None: [0, 1, 2], "hi": [0, 2], "kn": [1]}
