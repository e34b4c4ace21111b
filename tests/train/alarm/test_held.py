"""Which held-out rows the alarm's loss is taken on."""

from dataclasses import replace

from seemant.train.alarm.held import some_rows
from seemant.train.rows.render import Row
from tests.train.alarm.fakes import heldout


def rows(n: int, lang: str, bucket: str) -> list[Row]:
    return [
        replace(row, lang=lang, bucket=bucket, key=f"{bucket}{lang}{row.key}")  # type: ignore[arg-type]
        for row in heldout(n)
    ]


ALL = rows(300, "hi", "pairs") + rows(200, "en", "pairs") + rows(100, "en", "replay")


def test_rows_fit_into_the_tokens_and_every_bucket_and_language_is_there() -> None:
    chosen = some_rows(ALL, 600, seed=1)
    assert 540 < sum(len(ALL[at].ids) for at in chosen) <= 600
    counts: dict[tuple[str, str], int] = {}
    for at in chosen:
        key = ALL[at].bucket, ALL[at].lang
        counts[key] = counts.get(key, 0) + 1
    assert len(counts) == 3 and max(counts.values()) - min(counts.values()) <= 1


def test_there_are_enough_paragraphs_for_an_interval_however_few_tokens() -> None:
    chosen = some_rows(ALL, 1, seed=1)
    for bucket in ("pairs", "replay"):
        assert len({ALL[at].paragraph for at in chosen if ALL[at].bucket == bucket}) >= 8
    assert len(chosen) == 16


def test_the_seed_and_nothing_else_chooses() -> None:
    assert some_rows(ALL, 600, seed=1) == some_rows(ALL, 600, seed=1) != some_rows(ALL, 600, seed=2)


def test_of_a_paragraph_one_row_is_taken() -> None:
    some = [replace(row, paragraph=str(int(row.key) // 4)) for row in heldout(40)]
    chosen = some_rows(some, 10_000, seed=0)
    assert len(chosen) == len({some[at].paragraph for at in chosen}) == 10
