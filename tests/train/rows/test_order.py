"""The order is a pure function, loses nothing, splits nothing, and mixes replay in by tokens."""

from collections import Counter
from fractions import Fraction
from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seemant.core.errors import InputError
from seemant.core.seeds import rng
from seemant.train.rows.order import Cut, Order
from seemant.train.rows.pack import first_fit_decreasing
from seemant.train.rows.render import Row, render
from seemant.train.rows.split import hold_out
from tests.train.tiny import pair

LENGTHS = st.lists(st.integers(1, 300), min_size=1, max_size=120)
CUTS = st.one_of(
    st.builds(Cut, batch=st.integers(1, 9)),
    st.builds(Cut, batch=st.just(1), pack=st.integers(300, 900)),
)


@given(LENGTHS, CUTS, st.integers(0, 5), st.integers(0, 3))
def test_an_epoch_holds_each_row_once_and_no_bin_is_overfull(
    lengths: list[int], cut: Cut, seed: int, epoch: int
) -> None:
    batches = Order(lengths, cut, seed).epoch(epoch)
    assert sorted(chain(*batches)) == list(range(len(lengths)))
    for each in batches:
        assert each
        if cut.pack:
            assert sum(lengths[i] for i in each) <= cut.pack
        else:
            assert len(each) <= cut.batch
    again = Order(lengths, cut, seed)
    again.epoch(epoch + 2)  # asked in another order, it is the same
    assert again.epoch(epoch) == batches


@given(LENGTHS, CUTS, st.integers(1, 5))
def test_steps_are_the_epochs_laid_end_to_end(
    lengths: list[int], cut: Cut, accumulation: int
) -> None:
    n_steps = 6
    laid = [each for epoch in range(60) for each in Order(lengths, cut, 1).epoch(epoch)]
    order = Order(lengths, cut, 1)
    steps = [order.step(step, accumulation) for step in range(n_steps)]
    got = list(chain(*steps))
    assert len(got) == n_steps * accumulation
    if cut.pack:
        want = laid[: len(got)]
        assert got[: len(want)] == want
    else:  # rows are laid end to end, whatever they were cut into
        assert all(len(each) == cut.batch for each in got)
        flat, want_rows = list(chain(*got)), list(chain(*laid))
        n = min(len(flat), len(want_rows))
        assert n and flat[:n] == want_rows[:n]
    # Resumed at any step, a fresh order goes on with the same micro-batches.
    for step in (5, 2, 4):
        assert Order(lengths, cut, 1).step(step, accumulation) == steps[step]


@given(LENGTHS, CUTS, st.integers(1, 4), st.sampled_from([0.3, 1.0, 1.5, 3.0]))
def test_so_many_epochs_are_the_fewest_steps_that_see_them(
    lengths: list[int], cut: Cut, accumulation: int, epochs: float
) -> None:
    order = Order(lengths, cut, 0)

    def units(epoch: int) -> int:
        return len(order.epoch(epoch)) if cut.pack else len(lengths)

    wanted = sum(units(e) for e in range(int(epochs)))
    wanted += (Fraction(str(epochs)) - int(epochs)) * units(int(epochs))
    steps, a_step = order.steps_in(epochs, accumulation), accumulation
    a_step *= 1 if cut.pack else cut.batch
    assert steps * a_step >= wanted
    assert steps == 1 or (steps - 1) * a_step < wanted


def test_epochs_are_counted_as_they_are_written() -> None:
    order = Order([9] * 100, Cut(batch=1), 0)
    assert order.steps_in(1.1, 1) == 110  # 1.1 is a little more than 11/10 in binary
    assert order.steps_in(2.3, 1) == 230


@pytest.mark.parametrize("replay", [0.0, 0.25])
def test_a_retry_with_smaller_micro_batches_sees_the_same_rows_in_the_same_steps(
    replay: float,
) -> None:
    def steps(batch: int, accumulation: int, some: range) -> list[list[int]]:
        cut = Cut(batch=batch, replay=replay, replay_from=42 if replay else None)
        order = Order([9] * 60 if replay else [9] * 42, cut, 3)
        return [list(chain(*order.step(step, accumulation))) for step in some]

    whole = steps(4, 2, range(15))
    retried = steps(4, 2, range(6)) + steps(2, 4, range(6, 15))
    assert retried == whole
    assert Counter(chain(*retried)) == Counter(chain(*whole))
    if not replay:
        seen = Counter(chain(*whole))
        assert set(seen) == set(range(42)) and set(seen.values()) == {2, 3}


def test_epochs_and_seeds_differ() -> None:
    for cut in (Cut(batch=2), Cut(batch=1, pack=60)):
        order = Order(list(range(1, 41)), cut, 0)
        first = order.epoch(0)
        assert first != order.epoch(1)
        assert first != Order(list(range(1, 41)), cut, 1).epoch(0)


def best_possible(lengths: list[int], room: int) -> int:
    """The fewest bins there are, by trying everything."""

    def places(left: list[int], bins: list[int]) -> int:
        if not left:
            return len(bins)
        found = [places(left[1:], [*bins, room - left[0]])]
        for at in {free: i for i, free in enumerate(bins) if free >= left[0]}.values():
            found.append(places(left[1:], [*bins[:at], bins[at] - left[0], *bins[at + 1 :]]))
        return min(found)

    return places(sorted(lengths, reverse=True), [])


@given(st.lists(st.integers(1, 10), min_size=1, max_size=7))
def test_first_fit_decreasing_is_near_the_fewest_bins_there_can_be(lengths: list[int]) -> None:
    bins = first_fit_decreasing(lengths, 10)
    assert sorted(chain(*bins)) == list(range(len(lengths)))
    assert all(sum(lengths[i] for i in each) <= 10 for each in bins)
    assert len(bins) <= 11 / 9 * best_possible(lengths, 10) + 6 / 9


def test_bins_of_mixed_lengths_are_nearly_full_and_keep_new_company() -> None:
    lengths = [int(n) for n in rng(0, "lengths").integers(20, 250, 400)]
    order = Order(lengths, Cut(batch=1, pack=1024), 0)
    epochs = [order.epoch(0), order.epoch(1)]
    for batches in epochs:
        full = [sum(lengths[i] for i in each) / 1024 for each in batches]
        assert np.mean(full) > 0.92
    together = [{frozenset(p) for b in e for p in combinations(b, 2)} for e in epochs]
    assert len(together[0] & together[1]) < 0.15 * len(together[0])


def test_a_row_longer_than_a_bin_is_refused() -> None:
    with pytest.raises(InputError, match="a row of 70 tokens does not fit into 64") as caught:
        Order([5, 70], Cut(batch=1, pack=64), 0)
    assert "--pack to 70" in str(caught.value)


@given(
    st.lists(st.integers(5, 60), min_size=4, max_size=30),
    st.lists(st.integers(5, 60), min_size=1, max_size=9),
    st.sampled_from([0.05, 0.1, 0.25, 0.5]),
    st.booleans(),
)
def test_replay_has_its_share_of_tokens_whatever_the_lengths(
    own: list[int], replay: list[int], share: float, packed: bool
) -> None:
    cut = Cut(batch=2, pack=64 if packed else None, replay=share, replay_from=len(own))
    lengths = own + replay
    order = Order(lengths, cut, 0)
    own_tokens = again = 0
    for epoch in range(6):
        rows = list(chain(*order.epoch(epoch)))
        assert sorted(i for i in rows if i < len(own)) == list(range(len(own)))
        own_tokens += sum(lengths[i] for i in rows if i < len(own))
        again += sum(lengths[i] for i in rows if i >= len(own))
        exact = own_tokens * share / (1 - share)
        assert exact - 1e-6 <= again < exact + max(replay)  # off by less than a row, ever


def test_replay_goes_through_all_of_its_rows_before_it_repeats_one() -> None:
    cut = Cut(batch=3, replay=0.25, replay_from=20)
    order = Order([10] * 40, cut, 0)
    seen: list[int] = []
    for epoch in range(6):
        seen += sorted(i for i in chain(*order.epoch(epoch)) if i >= 20)
    assert len(seen) == 40  # 6 epochs of 200 tokens: 400 tokens again
    assert sorted(seen[:20]) == list(range(20, 40)) == sorted(seen[20:])
    assert Order([10] * 40, cut, 0).step(11, 2) == order.step(11, 2)  # the cursor is the step


def rows_of(form, n: int, lang: str = "en", offset: int = 0):
    return [
        render(pair(f"{lang} {i}", "yes", lang=lang, paragraph_id=f"{lang}{i // 2}"), *form)
        for i in range(offset, offset + n)
    ]


def test_paragraphs_are_held_out_whole_in_every_language(form) -> None:
    rows = rows_of(form, 40) + rows_of(form, 10, "hi")
    train, held = hold_out(rows, 0.2, seed=0)
    assert not {row.paragraph for row in train} & {row.paragraph for row in held}
    assert sorted(row.key for row in train + held) == sorted(row.key for row in rows)
    assert sum(row.lang == "en" for row in held) == 8  # 4 of 20 paragraphs
    assert sum(row.lang == "hi" for row in held) == 2  # 1 of 5


def test_more_pairs_leave_most_of_the_choice_as_it_was(form) -> None:
    few, many = rows_of(form, 80), rows_of(form, 88)
    old = {row.paragraph for row in hold_out(few, 0.25, 0)[1]}
    new = {row.paragraph for row in hold_out(many, 0.25, 0)[1]}
    assert len(old & new) >= 0.7 * len(old)


def parallel_rows(form, n: int, langs: tuple[str, ...], lone: int = 0) -> list[Row]:
    """`n` paragraphs in every language under one name, `lone` more in the first one alone."""
    rows = [
        render(pair(f"{lang} {i}", "yes", lang=lang, paragraph_id=f"p{i}"), *form)
        for lang in langs
        for i in range(n)
    ]
    return rows + rows_of(form, 2 * lone, langs[0])


@pytest.mark.parametrize(("n", "lone"), [(2, 0), (10, 0), (10, 15), (3, 40)])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_a_paragraph_is_held_out_in_every_language_or_in_none(
    form, n: int, lone: int, share: float
) -> None:
    rows = parallel_rows(form, n, ("en", "hi", "kn"), lone)
    for seed in range(5):
        train, held = hold_out(rows, share, seed)
        assert not {row.paragraph for row in train} & {row.paragraph for row in held}
        for part in (train, held):  # no language is left without either
            assert {row.lang for row in part} == {"en", "hi", "kn"}
        if not lone:
            n_held = len({row.paragraph for row in held})
            assert n_held == min(max(round(share * n), 1), n - 1)
        assert hold_out(rows[::-1], share, seed)[1] == held[::-1]


def test_a_single_paragraph_is_trained_on(form) -> None:
    train, held = hold_out(rows_of(form, 2), 0.5, seed=0)
    assert len(train) == 2 and not held
    assert hold_out(rows_of(form, 20), 0.0, seed=0)[1] == []


def test_only_one_bin_of_an_epoch_may_be_short() -> None:
    """A step on a nearly empty bin would move the weights as much as one on a full bin."""
    lengths = [20 + (37 * i) % 236 for i in range(3000)]
    filled = sorted(
        sum(lengths[i] for i in each)
        for each in Order(lengths, Cut(batch=1, pack=2048), 0).epoch(0)
    )
    assert filled[1] > 0.9 * 2048
