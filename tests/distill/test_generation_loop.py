"""The loop: what is asked, what is journalled, what a failure leaves behind."""

import errno
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seemant.core.errors import DiskFull, ServerDown, WorldError
from seemant.core.journal import Journal
from seemant.core.records import Paragraph
from seemant.distill.collect import canonical, collect, samples
from seemant.distill.config import DistillConfig
from seemant.distill.loop import generate
from seemant.distill.plan import Slot, first_attempts, slots_of, task_of
from seemant.distill.tasks import Reply, Task
from seemant.distill.verdict import GARBAGE

PARAGRAPHS = [
    Paragraph(id=f"p{at}", lang=("hi", "kn", "en")[at % 3], text=f"River {at} is long. " * 4)
    for at in range(12)
]


class Place:
    """An asker that does nothing by itself."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self.closed = False

    def ask(self, tasks: Sequence[Task]) -> list[Reply]:
        raise AssertionError("the loop asks through its function")

    def close(self) -> None:
        self.closed = True


def entry(slot: Slot, attempt: int, *, kept: bool, garbage: bool = False) -> dict[str, Any]:
    reasons = [] if kept else [GARBAGE if garbage else "about: 0%"]
    return {
        "paragraph_id": slot.paragraph.id,
        "pair": slot.pair,
        "attempt": attempt,
        "lang": slot.paragraph.lang,
        "instruction": f"What is {slot.paragraph.id}?",
        "output": "long",
        "kept": kept,
        "reasons": reasons,
        "checks": {"about": kept},
        "finish_reason": "stop",
        "reply": "…",
    }


def go(
    path: Path,
    ask: Callable[[Any, Slot, int], dict[str, Any]],
    *,
    askers: int = 2,
    at_once: int = 1,
    give_up_after: int | None = None,
    config: DistillConfig | None = None,
) -> tuple[list[dict[str, Any]], list[Place]]:
    config = config or DistillConfig()
    slots = slots_of(PARAGRAPHS, config)
    places = [Place(at_once) for _ in range(askers)]
    with Journal(path) as journal:
        generate(
            first_attempts(slots, journal.entries, config),
            places,
            lambda place, items: [ask(place, slot, attempt) for slot, attempt in items],
            journal,
            attempts=config.attempts,
            give_up_after=give_up_after,
            tick=lambda: None,
        )
        return list(journal.entries), places


def journalled(path: Path) -> list[dict[str, Any]]:
    with Journal(path) as journal:
        return list(journal.entries)


@pytest.mark.parametrize("at_once", [1, 5, 100])
def test_every_slot_is_asked_until_it_is_kept_or_its_attempts_are_spent(
    tmp_path: Path, at_once: int
) -> None:
    def ask(_: Any, slot: Slot, attempt: int) -> dict[str, Any]:
        return entry(slot, attempt, kept=attempt >= int(slot.paragraph.id[1:]) % 5)

    entries, places = go(tmp_path / "j", ask, askers=3, at_once=at_once)
    asked = Counter(e["paragraph_id"] for e in entries)
    assert asked == {f"p{at}": min(3, at % 5 + 1) for at in range(12)}
    assert all(place.closed for place in places)


def test_a_failure_keeps_what_came_and_the_next_run_asks_only_the_rest(tmp_path: Path) -> None:
    asked: list[tuple[str, int]] = []
    broken = True

    def ask(_: Any, slot: Slot, attempt: int) -> dict[str, Any]:
        if broken and len(asked) >= 5:
            raise ServerDown("gone")
        asked.append((slot.paragraph.id, attempt))
        return entry(slot, attempt, kept=attempt == 1)

    with pytest.raises(ServerDown):
        go(tmp_path / "j", ask)
    kept = journalled(tmp_path / "j")
    assert {(e["paragraph_id"], e["attempt"]) for e in kept} == set(asked)
    broken = False
    entries, _ = go(tmp_path / "j", ask)
    assert max(Counter(asked).values()) == 1
    assert len(entries) == len(asked) == 24


def test_a_full_disk_stops_the_run_and_the_next_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Journal.append
    n = 0

    def full(self: Journal, value: dict[str, Any]) -> None:
        nonlocal n
        n += 1
        if n > 4:
            raise DiskFull("no space left on the device") from OSError(errno.ENOSPC, "")
        append(self, value)

    def ask(_: Any, slot: Slot, attempt: int) -> dict[str, Any]:
        return entry(slot, attempt, kept=True)

    with monkeypatch.context() as patch, pytest.raises(DiskFull):
        patch.setattr(Journal, "append", full)
        go(tmp_path / "j", ask)
    assert len(journalled(tmp_path / "j")) == 4
    entries, _ = go(tmp_path / "j", ask)
    assert sorted(e["paragraph_id"] for e in entries) == sorted(p.id for p in PARAGRAPHS)


def test_unreadable_replies_in_a_row_stop_the_run_and_are_asked_again(tmp_path: Path) -> None:
    def ask(_: Any, slot: Slot, attempt: int) -> dict[str, Any]:
        good = slot.paragraph.lang == "hi"  # four slots come first
        return entry(slot, attempt, kept=good, garbage=not good)

    with pytest.raises(ServerDown, match="8 replies in a row"):
        go(tmp_path / "j", ask, askers=1, give_up_after=8)
    entries = journalled(tmp_path / "j")
    assert {e["lang"] for e in entries} == {"hi"} and len(entries) == 4


def test_now_and_then_an_unreadable_reply_is_journalled_like_any_other(tmp_path: Path) -> None:
    def ask(_: Any, slot: Slot, attempt: int) -> dict[str, Any]:
        good = slot.paragraph.lang != "en"
        return entry(slot, attempt, kept=good, garbage=not good)

    entries, _ = go(tmp_path / "j", ask, askers=1, give_up_after=13)
    assert Counter(e["reasons"] == [GARBAGE] for e in entries) == {False: 8, True: 12}


def test_a_server_that_never_says_anything_readable_is_out_of_order(tmp_path: Path) -> None:
    with pytest.raises(ServerDown, match="nonsense"):
        go(
            tmp_path / "j",
            lambda _, slot, attempt: entry(slot, attempt, kept=False, garbage=True),
            give_up_after=1000,
        )
    assert journalled(tmp_path / "j") == []


def test_a_base_model_s_unreadable_replies_are_its_own(tmp_path: Path) -> None:
    entries, _ = go(
        tmp_path / "j", lambda _, slot, attempt: entry(slot, attempt, kept=False, garbage=True)
    )
    assert len(entries) == 36


def test_one_failing_asker_stops_the_others_after_their_reply(tmp_path: Path) -> None:
    failed = threading.Event()

    def ask(place: Any, slot: Slot, attempt: int) -> dict[str, Any]:
        if slot.paragraph.id == "p0":
            failed.set()
            raise WorldError("this one died")
        failed.wait(5)
        time.sleep(0.05)
        return entry(slot, attempt, kept=True)

    with pytest.raises(WorldError, match="this one died"):
        go(tmp_path / "j", ask)
    assert len(journalled(tmp_path / "j")) <= 2


@given(st.randoms(use_true_random=False))
def test_the_order_of_replies_changes_nothing_in_the_artefact(random: Any) -> None:
    config = DistillConfig(pairs_per_paragraph=2)
    slots = slots_of(PARAGRAPHS, config)
    entries = [
        entry(slot, attempt, kept=attempt == 1) | {"instruction": f"What is {at % 7}?"}
        for at, slot in enumerate(slots)
        for attempt in range(2)
    ]
    shuffled = list(entries)
    random.shuffle(shuffled)
    expected = collect(slots, entries, teacher="t", keep_input=True)
    assert collect(slots, shuffled, teacher="t", keep_input=True) == expected
    assert canonical(slots, shuffled) == entries


def test_the_first_of_two_like_questions_in_paragraph_order_is_kept() -> None:
    slots = slots_of(PARAGRAPHS[0:1] + PARAGRAPHS[3:4] + PARAGRAPHS[1:2], DistillConfig())
    said = ["नदी कहाँ है?", "  नदी कहां  है ", "नदी कहाँ है?"]
    entries = [
        entry(slot, 0, kept=True) | {"instruction": text}
        for slot, text in zip(slots, said, strict=True)
    ]
    kept, dropped = collect(slots, reversed(entries), teacher="t", keep_input=False)
    assert [pair.id for pair in kept] == ["p0.0", "p1.0"]  # p1 is of another language
    assert [pair.reasons for pair in dropped] == [("not_duplicate: p0.0 asks the same",)]
    assert kept[0].checks["not_duplicate"] and not dropped[0].checks["not_duplicate"]
    assert kept[0].input == ""


def test_no_two_attempts_at_one_paragraph_ask_the_same() -> None:
    config = DistillConfig(pairs_per_paragraph=3, attempts=4)
    for paragraph in PARAGRAPHS[:3]:
        slots = slots_of([paragraph], config)
        for form in ("completion", "json"):
            tasks = [
                task_of(slot, attempt, form, config)  # type: ignore[arg-type]
                for slot in slots
                for attempt in range(4)
            ]
            assert len({(t.text, t.rank, t.seed) for t in tasks}) == 12
            if form == "completion":
                assert len({(t.text, t.rank) for t in tasks}) == 12
            else:
                assert [t.temperature for t in tasks].count(0.0) == 1


def test_slots_keep_paragraph_order_the_limit_and_each_id_once() -> None:
    config = DistillConfig(languages=("kn", "hi"), limit=2)
    slots = slots_of([*PARAGRAPHS, *PARAGRAPHS], config)
    assert [slot.paragraph.id for slot in slots] == ["p0", "p1", "p3", "p4"]
    todo = first_attempts(slots, [], config)
    assert [slot.paragraph.id for slot, _ in todo] == ["p1", "p4", "p0", "p3"]


def test_samples_are_five_of_each_kind_and_the_same_for_the_same_seed() -> None:
    slots = slots_of(PARAGRAPHS, DistillConfig())
    entries = [entry(slot, 0, kept=at % 2 == 0) for at, slot in enumerate(slots)]
    kept, dropped = collect(slots, entries, teacher="t", keep_input=True)
    shown = samples(slots, kept, dropped, seed=3)
    assert shown == samples(slots, kept, dropped, seed=3)
    assert len(shown["kept"]) == len(shown["dropped"]) == 5
    assert all(each["reasons"] == [] for each in shown["kept"])
    assert all(each["reasons"] for each in shown["dropped"])
    assert samples(slots, [], [], seed=3) == {"kept": [], "dropped": []}
