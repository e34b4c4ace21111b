"""The pick of a request, its runner-up, and what is said where nothing fits."""

from typing import Any

import numpy as np

from seemant.frontier.floors import UNREACHED, Request, worst_quality
from seemant.frontier.pick import Answer, answer
from seemant.stats.clusters import cluster_mean
from tests.frontier.test_floors import answered

FAMILIES = [f"f{i}" for i in range(40)]
HARD = np.random.default_rng(0).normal(scale=0.3, size=(2, 40))


def candidate(subject: str, level: float, size: float, *, noise: int = 0, **changes: Any) -> Any:
    """A candidate whose margins are the families' difficulty, its level and its own noise."""
    own = np.random.default_rng(noise).normal(scale=0.02, size=(2, 40)) if noise else 0.0
    scores = HARD - HARD.mean(axis=1, keepdims=True) + level + own
    margins = {
        g: dict(zip(FAMILIES, map(float, v), strict=True))
        for g, v in zip(("hi", "kn"), scores, strict=True)
    }
    quality = {}
    for g, values in margins.items():
        q = cluster_mean(list(values.values()), FAMILIES)
        quality[g] = {"value": q.value, "ci_low": q.low, "ci_high": q.high, "n_clusters": 40}
    row: dict[str, Any] = {
        "subject": subject,
        "quality": quality,
        "answers": {g: answered(38) for g in ("hi", "kn")},
        "deployable": True,
        "warnings": [],
        "damaged": [],
        "guard": {},
        "file_bytes": size,
        "peak_rss_bytes": 2 * size,
        "decode_tokens_per_s": 50.0,
    }
    return row | changes, margins


def ask(*given: Any, **changes: Any) -> Answer:
    request = Request(**({"device": "d", "languages": ("hi", "kn"), "min_quality": 0.0} | changes))
    rows = [row for row, _ in given]
    margins = {row["subject"]: m for row, m in given}
    return answer(rows, margins, request, resamples=400, seed=0)


def test_a_smaller_file_that_is_not_surely_worse_is_picked() -> None:
    best, small = candidate("best", 0.5, 300e6), candidate("small", 0.498, 150e6, noise=1)
    found = ask(best, small)
    assert found.pick is small[0]
    assert found.runner_up is best[0] and "not surely higher" in found.lost_because
    assert "150 MB" in found.why and "best" in found.why


def test_a_smaller_file_that_is_surely_worse_is_not_picked() -> None:
    best, small = candidate("best", 0.5, 300e6), candidate("small", 0.4, 150e6, noise=1)
    found = ask(best, small)
    assert found.pick is best[0]
    assert found.runner_up is small[0] and "surely below the best" in found.lost_because


def test_a_budget_takes_the_best_away() -> None:
    best, small = candidate("best", 0.5, 300e6), candidate("small", 0.4, 150e6, noise=1)
    found = ask(best, small, max_file_bytes=200e6)
    assert found.pick is small[0] and found.n_fit == 1
    assert found.runner_up is best[0] and "300 MB" in found.lost_because


def test_a_damaged_variant_is_never_picked() -> None:
    best = candidate("best", 0.5, 300e6)
    broken = candidate("broken", 0.5, 100e6, damaged=["kn"], guard={"kn": 5.1})
    found = ask(best, broken)
    assert found.pick is best[0] and "5.10" in found.lost_because


def test_the_least_bad_is_not_damaged_where_something_undamaged_is_left() -> None:
    broken = candidate("broken", 0.9, 100e6, damaged=["kn"], guard={"kn": 5.1})
    poor = candidate("poor", -0.5, 300e6)  # misses two floors, the broken one only one
    found = ask(broken, poor, max_file_bytes=200e6)
    assert found.pick is None and found.least_bad is poor[0]
    elsewhere = candidate("elsewhere", -0.4, 300e6, damaged=["en"], guard={"en": 5.1})
    assert ask(elsewhere, poor).least_bad is elsewhere[0]  # nobody asked for English


def test_of_files_of_one_size_the_better_is_picked_whatever_its_name() -> None:
    worse, better = candidate("a", 0.498, 150e6, noise=1), candidate("b", 0.5, 150e6, noise=2)
    best = candidate("c", 0.502, 300e6)
    found = ask(worse, better, best)
    order = sorted((worse[0], better[0]), key=lambda r: worst_quality(r, ("hi", "kn")))
    assert found.pick is order[1]
    two = ask(worse, better)
    assert two.runner_up is order[0]
    assert two.lost_because.startswith("a file of the same size (150 MB) with a lower quality")
    assert "larger" not in two.lost_because


def test_equal_files_of_equal_quality_go_by_name() -> None:
    found = ask(candidate("b", 0.5, 150e6), candidate("a", 0.5, 150e6))
    assert found.pick is not None and found.pick["subject"] == "a"
    assert "the same quality" in found.lost_because


def test_reasons_are_words_and_not_names_of_settings() -> None:
    found = ask(candidate("a", -0.2, 300e6))
    assert found.why == "no deployable candidate reaches the quality floor"
    assert "_" not in "".join(UNREACHED.values())


def test_a_simulated_variant_is_never_picked_even_as_the_last() -> None:
    ghost = candidate("ghost", 0.9, 50e6, deployable=False, warnings=["simulated: no file"])
    poor = candidate("poor", -0.5, 300e6)
    found = ask(ghost, poor)
    assert found.pick is None
    assert found.least_bad is poor[0] and found.missed_floor == "min_quality"


def test_unfit_names_the_floor_that_nothing_reaches() -> None:
    a, b = candidate("a", -0.2, 300e6), candidate("b", -0.1, 400e6)
    found = ask(a, b, max_file_bytes=350e6)
    assert found.pick is None
    assert found.missed_floor == "min_quality"  # the size limit is kept by a, chance by neither
    assert found.least_bad is a[0]  # b misses two floors
    assert {miss.floor for miss in found.least_bad_misses} == {"min_quality"}


def test_unfit_says_so_where_each_floor_is_reached_by_somebody_else() -> None:
    good, small = candidate("good", 0.5, 300e6), candidate("small", -0.5, 100e6)
    found = ask(good, small, max_file_bytes=200e6)
    assert found.pick is None and "no candidate reaches all" in found.why
    # What does not go onto the device is no choice at all, however good.
    assert found.least_bad is small[0] and found.missed_floor == "min_quality"


def test_no_candidates_at_all_is_unfit_and_no_error() -> None:
    found = ask()
    assert found.pick is None and found.least_bad is None


def test_the_order_of_candidates_changes_nothing() -> None:
    given = [candidate(f"c{i}", 0.5 - 0.001 * i, 300e6 - i, noise=i + 1) for i in range(5)]
    assert ask(*given).pick == ask(*reversed(given)).pick


def test_the_least_bad_answers_more_questions_whatever_the_margins_say() -> None:
    knows = candidate("knows", 0.3, 300e6, answers={g: answered(12) for g in ("hi", "kn")})
    sharp = candidate("sharp", 0.9, 300e6, answers={g: answered(2) for g in ("hi", "kn")})
    found = ask(knows, sharp)
    assert found.least_bad is knows[0] and found.missed_floor == "min_right"
