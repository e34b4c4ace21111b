"""The order is a pure function, loses nothing and pads little."""

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from seemant.core.seeds import rng
from seemant.train.order import epoch_batches, step_batches
from seemant.train.render import render
from seemant.train.split import hold_out
from tests.train.tiny import pair

LENGTHS = st.lists(st.integers(1, 300), min_size=1, max_size=150)


@given(LENGTHS, st.integers(1, 9), st.integers(0, 5), st.integers(0, 3))
def test_an_epoch_holds_each_row_once(
    lengths: list[int], batch: int, seed: int, epoch: int
) -> None:
    batches = epoch_batches(lengths, batch, seed, epoch)
    assert sorted(chain(*batches)) == list(range(len(lengths)))
    assert all(1 <= len(each) <= batch for each in batches)
    assert batches == epoch_batches(lengths, batch, seed, epoch)


@given(LENGTHS, st.integers(1, 5), st.integers(1, 5))
def test_steps_are_the_epochs_laid_end_to_end(
    lengths: list[int], batch: int, accumulation: int
) -> None:
    n_steps = 6
    laid = [each for epoch in range(40) for each in epoch_batches(lengths, batch, 1, epoch)]
    want = laid[: n_steps * accumulation]
    steps = [step_batches(lengths, batch, accumulation, 1, step) for step in range(n_steps)]
    assert list(chain(*steps))[: len(want)] == want


def test_grouping_by_length_removes_most_padding() -> None:
    lengths = [int(n) for n in rng(0, "lengths").integers(20, 250, 200)]

    def padding(batches: list[tuple[int, ...]]) -> int:
        return sum(
            max(lengths[i] for i in b) * len(b) - sum(lengths[i] for i in b) for b in batches
        )

    in_order = [tuple(range(i, i + 4)) for i in range(0, 200, 4)]
    assert padding(epoch_batches(lengths, 4, 0, 0)) < 0.1 * padding(in_order)


def test_epochs_and_seeds_differ() -> None:
    lengths = list(range(40))
    first = epoch_batches(lengths, 2, 0, 0)
    assert first != epoch_batches(lengths, 2, 0, 1)
    assert first != epoch_batches(lengths, 2, 1, 0)


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


def test_a_single_paragraph_is_trained_on(form) -> None:
    train, held = hold_out(rows_of(form, 2), 0.5, seed=0)
    assert len(train) == 2 and not held
    assert hold_out(rows_of(form, 20), 0.0, seed=0)[1] == []
