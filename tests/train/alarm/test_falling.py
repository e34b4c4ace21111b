"""Whether the held-out loss falls."""

import numpy as np
import pytest

from seemant.train.alarm.falling import has_fallen, slope, worse
from seemant.train.rows.render import Row


def rows(n: int, per_paragraph: int = 1, answer: int = 5, bucket: str = "pairs") -> list[Row]:
    return [
        Row(
            key=str(i),
            paragraph=str(i // per_paragraph),
            lang="en",
            ids=[1] * (answer + 1),
            targets=[1] * answer + [-100],
            n_prompt=1,
            bucket=bucket,
        )
        for i in range(n)
    ]


def test_the_slope_is_that_of_least_squares_on_the_pooled_loss() -> None:
    steps, generator = [0, 10, 25, 40], np.random.default_rng(0)
    some = rows(12, per_paragraph=1)
    nats = generator.normal(20, 3, (4, 12)) - np.array([0, 1, 3, 5])[:, None]
    loss = nats.sum(1) / (5 * 12)
    assert slope(steps, nats.tolist(), some).value == pytest.approx(np.polyfit(steps, loss, 1)[0])


def test_the_upper_end_covers_the_true_slope() -> None:
    generator, some = np.random.default_rng(1), rows(24)
    steps, hits, true = [0, 1, 2, 3], 0, -0.2
    for _ in range(400):
        start = generator.normal(20, 4, 24)
        own = generator.normal(true, 0.5, 24)  # slopes differ from row to row
        nats = [start + 5 * own * x + generator.normal(0, 0.5, 24) for x in steps]
        upper = slope(steps, [n.tolist() for n in nats], some).upper
        assert upper is not None
        hits += upper >= true
    assert 0.92 <= hits / 400 <= 0.98


def test_rows_of_one_paragraph_are_one_observation() -> None:
    generator = np.random.default_rng(2)
    own = np.repeat(generator.normal(-0.1, 0.5, 12), 4)
    nats = [(20 + own * x).tolist() for x in (0, 1, 2)]
    alone = slope([0, 1, 2], nats, rows(48, per_paragraph=1)).upper
    together = slope([0, 1, 2], nats, rows(48, per_paragraph=4)).upper
    assert alone is not None and together is not None and together > alone


def test_of_few_paragraphs_there_is_no_interval_but_a_direction() -> None:
    found = slope([0, 1], [[20.0] * 4, [19.0] * 4], rows(4))
    assert found.upper is None and found.falls


def history(losses: list[float], n: int = 16) -> dict[int, list[float]]:
    noise = np.random.default_rng(3).normal(0, 0.3, (len(losses), n))
    noise -= noise.mean(1, keepdims=True)
    return {10 * k: (5 * loss + noise[k]).tolist() for k, loss in enumerate(losses)}


@pytest.mark.parametrize(
    ("losses", "falls"),
    [
        ([4.0, 3.5, 3.0, 2.8, 2.7], True),
        ([4.0, 3.0, 2.5, 2.5, 2.5, 2.5, 2.5], True),  # a plateau after a fall looks healthy
        ([3.0, 3.0, 3.0, 3.0], False),
        ([3.0, 3.2, 3.5, 3.9], False),
        ([9.0, 3.0, 3.1, 3.2, 3.3], False),  # far below look 0, and rising again
        ([6.0, 3.0, 2.5, 3.0, 3.5, 4.0], False),
        ([3.0, 4.0, 3.5, 3.5, 3.5, 3.5], False),  # a plateau above look 0
        ([3.0, 3.0, 3.0, 2.5], True),  # within one look
        ([3.0], False),
    ],
)
def test_a_loss_that_is_lower_than_it_was_falls(losses: list[float], falls: bool) -> None:
    assert has_fallen(history(losses), rows(16))[0] is falls


def test_only_the_last_four_looks_are_the_slope_that_is_told() -> None:
    _, told = has_fallen(history([9.0, 3.0, 3.1, 3.2, 3.3]), rows(16))
    assert told.value == pytest.approx(0.01, abs=0.004)


def mixed(pairs: list[float], replay: list[float]) -> tuple[dict[int, list[float]], list[Row]]:
    own, other = history(pairs), history(replay)
    return {k: own[k] + other[k] for k in own}, rows(16) + rows(16, bucket="replay")


def test_the_loss_that_must_fall_is_that_of_the_pairs_alone() -> None:
    nats, some = mixed([4.0, 3.5, 3.0, 2.8], [3.0, 5.0, 8.0, 9.0])
    fell, told = has_fallen(nats, some)
    assert fell and told.value < 0
    nats, some = mixed([4.0, 4.2, 4.5, 4.8], [9.0, 5.0, 4.0, 3.0])
    assert has_fallen(nats, some)[0] is False
    assert has_fallen(history([4.0, 3.5, 3.0]), rows(16, bucket="replay"))[0] is True


def test_replay_that_got_worse_is_named() -> None:
    nats, some = mixed([4.0, 3.5, 3.0, 2.8], [3.0, 3.1, 3.3, 3.4])
    assert worse(nats, some, 0.005) == ("replay",)
    nats, some = mixed([4.0, 4.5, 5.0], [3.0, 2.9, 2.9])
    assert worse(nats, some, 0.005) == ()
