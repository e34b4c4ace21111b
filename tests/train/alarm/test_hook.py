"""The alarm over a whole run: when it rings, what it does, and what survives a kill."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seemant.core.errors import InputError, WorldError
from seemant.core.jsonl import read_records
from seemant.core.runlog import read_events
from seemant.train.alarm.hook import ALARM_NAME, FIGURE_NAME
from seemant.train.alarm.prepare import prepare
from seemant.train.alarm.ring import Look
from seemant.train.alarm.schedule import PASSES
from seemant.train.config import TrainConfig
from seemant.train.rows.render import Form
from seemant.train.scale.world import Lone
from tests.train.alarm.fakes import fake_alarm, fake_quiz, go_on, heldout

FALLING = [4.0 / (1 + 0.2 * k) for k in range(1, 11)]
RISING = [4.0 + 0.2 * k for k in range(1, 11)]


def steady(look: int) -> float:
    return 0.0


def after_five(look: int) -> float:
    """News becomes likelier from look six on."""
    return 0.15 * max(0, look - 5)


def verdicts(out: Path) -> list[str]:
    return [look.verdict for look in read_records(out / ALARM_NAME, Look)]


def test_an_unchanged_student_is_quiet(tmp_path: Path) -> None:
    alarm = fake_alarm(tmp_path, steady)
    assert all(v.action == "go" for v in go_on(alarm, FALLING))
    assert verdicts(tmp_path) == ["base"] + ["quiet"] * 10


def test_it_rings_when_behaviour_falls_while_the_loss_does(tmp_path: Path) -> None:
    alarm = fake_alarm(tmp_path, after_five)
    go_on(alarm, FALLING)
    said = verdicts(tmp_path)
    assert said[:6] == ["base"] + ["quiet"] * 5
    assert said[7:] == ["ring"] * 4
    look = read_records(tmp_path / ALARM_NAME, Look)[7]
    assert look.rang == ("mimicry",) and look.loss_fell
    assert "mimicry rose by" in look.why and "while the held-out loss has fallen" in look.why


def test_a_fall_with_a_loss_that_does_not_fall_is_a_note(tmp_path: Path) -> None:
    alarm = fake_alarm(tmp_path, after_five)
    go_on(alarm, RISING)
    assert set(verdicts(tmp_path)[7:]) == {"note"}


def test_a_rise_of_the_good_side_never_rings(tmp_path: Path) -> None:
    go_on(fake_alarm(tmp_path, lambda look: -after_five(look)), FALLING)
    assert verdicts(tmp_path) == ["base"] + ["quiet"] * 10


@pytest.mark.parametrize("action", ["stop", "rollback"])
def test_the_action_is_taken_once_at_the_first_ring(tmp_path: Path, action: str) -> None:
    said = go_on(fake_alarm(tmp_path, after_five, action=action), FALLING)
    acts = [each.action for each in said]
    assert acts.count(action) == 1
    assert acts.index(action) == verdicts(tmp_path).index("ring") - 1
    assert all(act == "go" for act in acts if act != action)


def test_log_goes_on(tmp_path: Path) -> None:
    said = go_on(fake_alarm(tmp_path, after_five, action="log"), FALLING)
    assert {each.action for each in said} == {"go"}
    assert said[-1].why


def test_two_in_a_row_rings_a_look_later(tmp_path: Path) -> None:
    rang = {}
    for rule in ("once", "twice"):
        out = tmp_path / rule
        out.mkdir()
        go_on(fake_alarm(out, after_five, rule=rule), FALLING)  # type: ignore[arg-type]
        rang[rule] = verdicts(out).index("ring")
    assert rang["twice"] == rang["once"] + 1


def test_the_best_behaved_look_is_named_and_its_weights_are_asked_for(tmp_path: Path) -> None:
    said = go_on(fake_alarm(tmp_path, after_five), FALLING)
    kept = [10 * number for number, each in enumerate(said, start=1) if each.best]
    looks = read_records(tmp_path / ALARM_NAME, Look)
    assert kept and kept[-1] == looks[-1].best
    assert kept[-1] <= 50  # before the fall
    assert looks[3].best in kept


def test_steps_between_looks_are_not_looked_at(tmp_path: Path) -> None:
    from tests.train.alarm.fakes import line, nats

    alarm = fake_alarm(tmp_path, steady)
    alarm.begin(nats(4.0))
    calls = alarm.passes.calls  # type: ignore[attr-defined]
    assert alarm.after_step(line(7, 3.0), nats(3.0)) is None
    assert not alarm.looks_at(7) and alarm.looks_at(10) and not alarm.wants_loss(10)
    assert alarm.passes.calls == calls  # type: ignore[attr-defined]


@pytest.mark.parametrize("killed_after", range(1, 10))
def test_a_resumed_run_writes_the_bytes_of_one_that_was_never_killed(
    tmp_path: Path, killed_after: int
) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    whole.mkdir(), torn.mkdir()
    expected = go_on(fake_alarm(whole, after_five, action="rollback"), FALLING)
    first = fake_alarm(torn, after_five, action="rollback")
    go_on(first, FALLING[:killed_after])
    stored = json.loads(json.dumps(first.state()))
    second = fake_alarm(torn, after_five, action="rollback")
    second.restore(stored, {})
    got = go_on(second, FALLING[killed_after:], first=killed_after + 1)
    assert got == expected[killed_after:]
    for name in (ALARM_NAME, FIGURE_NAME):
        assert (torn / name).read_bytes() == (whole / name).read_bytes()
    assert second.looks[-1].spent == pytest.approx(0.05)


def test_looks_hold_no_time(tmp_path: Path) -> None:
    go_on(fake_alarm(tmp_path, steady), FALLING[:2])
    assert "seconds" not in (tmp_path / ALARM_NAME).read_text()
    events = read_events(tmp_path, "check")
    assert [event["step"] for event in events] == [0, 10, 20]
    assert all(event["seconds"] >= 0 and event["tokens"] == 1096 for event in events)


def test_the_base_is_asked_again_only_for_the_distance_to_it(tmp_path: Path) -> None:
    entered = []

    @contextmanager
    def again() -> Iterator[None]:
        entered.append(True)
        yield

    alarm = fake_alarm(tmp_path, steady, again=again)
    go_on(alarm, FALLING[:3])
    assert len(entered) == 1
    looks = read_records(tmp_path / ALARM_NAME, Look)
    assert [look.retention for look in looks] == pytest.approx([0.0, 0.01, 0.02, 0.03])


def test_without_the_base_there_is_no_distance_to_it(tmp_path: Path) -> None:
    go_on(fake_alarm(tmp_path, steady), FALLING[:1])
    assert read_records(tmp_path / ALARM_NAME, Look)[1].retention is None


def form(chat: Any) -> Form:
    template, tokenizer = chat
    return Form(template=template, tokenizer=tokenizer, n_vocab=400, max_length=512)


def test_an_alarm_that_is_off_prepares_nothing(tmp_path: Path, chat: Any) -> None:
    assert prepare(TrainConfig(alarm="off"), form(chat), heldout(), tmp_path, ("en",)) is None


def test_an_alarm_without_held_out_pairs_is_refused(tmp_path: Path, chat: Any) -> None:
    with pytest.raises(InputError, match="no pair is held out"):
        prepare(TrainConfig(alarm="log"), form(chat), [], tmp_path, ("en",))


def test_what_is_prepared_becomes_a_hook_that_keeps_to_its_share(tmp_path: Path, chat: Any) -> None:
    config = TrainConfig(alarm="stop", checks=20, alarm_rule="twice")
    ready = prepare(config, form(chat), heldout(), tmp_path, ("en",))
    assert ready is not None
    tokens = ready.passes.n_tokens
    long = ready.hook(None, {}, 2000, 10 * tokens, world=Lone())  # type: ignore[arg-type]
    assert len(long.plan.steps) == 20 and long.bounds.checks == 20
    assert long.bounds.rule == "twice" and long.action == "stop"
    short = ready.hook(None, {}, 60, tokens / 30, world=Lone())  # type: ignore[arg-type]
    assert len(short.plan.steps) < 20 and short.bounds.checks == len(short.plan.steps)
    assert short.base_again is None


def test_the_figure_of_a_run_is_written_beside_it(tmp_path: Path) -> None:
    go_on(fake_alarm(tmp_path, after_five), FALLING)
    figure = (tmp_path / FIGURE_NAME).read_text(encoding="utf-8")
    assert "The alarm rang at step" in figure and "best behaviour: step" in figure


def test_the_fake_quiz_is_like_a_real_one() -> None:
    made = fake_quiz()
    assert len(made.families) == 48 and len(made.continuations) == 48 * 8


def test_a_signal_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    alarm = fake_alarm(tmp_path, lambda look: np.nan if look == 2 else 0.0)
    with pytest.raises(WorldError, match="behaviour after step 20 is not finite: mimicry of 48"):
        go_on(alarm, FALLING)
    assert verdicts(tmp_path) == ["base", "quiet"]
    with pytest.raises(WorldError, match="after step 0"):
        go_on(fake_alarm(tmp_path, lambda look: np.inf), FALLING)


def test_where_every_look_crossed_the_untrained_student_is_the_best(tmp_path: Path) -> None:
    alarm = fake_alarm(tmp_path, lambda look: 0.9 * min(look, 1), action="rollback")
    assert alarm.begin([20.0] * 16).best
    said = go_on(alarm, FALLING[:3])
    assert said[0].action == "rollback" and not any(each.best for each in said)
    assert read_records(tmp_path / ALARM_NAME, Look)[-1].best == 0


def test_of_several_ranks_one_writes(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir(), second.mkdir()
    said = [
        go_on(fake_alarm(out, after_five, writes=out is first), FALLING) for out in (first, second)
    ]
    assert said[0] == said[1]
    assert {path.name for path in first.iterdir()} >= {ALARM_NAME, FIGURE_NAME, "events.jsonl"}
    assert list(second.iterdir()) == []


class Pair(Lone):
    rank, size = 1, 2


def test_a_rank_of_two_counts_its_own_half_of_a_step(tmp_path: Path, chat: Any) -> None:
    ready = prepare(TrainConfig(alarm="log"), form(chat), heldout(), tmp_path, ("en",))
    assert ready is not None
    tokens = float(ready.passes.n_tokens)
    alone, two = (
        ready.hook(None, {}, 200, tokens, world=world)  # type: ignore[arg-type]
        for world in (Lone(), Pair())
    )
    assert len(two.plan.steps) == pytest.approx(len(alone.plan.steps) / 2, abs=1)
    assert alone.writes and not two.writes


def test_the_check_is_charged_for_its_held_out_rows(tmp_path: Path, chat: Any) -> None:
    many = heldout(4000)
    ready = prepare(TrainConfig(alarm="log"), form(chat), many, tmp_path, ("en",))
    assert ready is not None
    made = ready.hook(None, {}, 500, ready.passes.n_tokens, world=Lone())  # type: ignore[arg-type]
    assert ready.passes.n_tokens < made.n_tokens <= 1.5 * ready.passes.n_tokens
    run = 500 * ready.passes.n_tokens * PASSES
    cost = (len(made.plan.steps) + 1) * made.n_tokens
    assert made.plan.share == pytest.approx(cost / (cost + run)) and made.plan.share <= 0.03


def test_between_the_loops_own_looks_the_alarm_measures_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seemant.train.alarm import hook as module
    from tests.train.alarm.fakes import line, nats

    seen: list[int] = []

    def measured(student: Any, rows: Any, tokens: int) -> list[float]:
        seen.append(len(rows))
        return nats(3.0)

    monkeypatch.setattr(module, "answer_nats", measured)
    alarm = fake_alarm(tmp_path, steady)
    alarm.begin(nats(4.0))
    alarm.after_step(line(10, 3.5), nats(3.5))
    assert not seen
    alarm.after_step(line(20, 9.0).model_copy(update={"heldout_loss": None}), nats(9.0))
    assert seen == [16]
    losses = [look.heldout_loss for look in read_records(tmp_path / ALARM_NAME, Look)]
    assert losses == pytest.approx([4.0, 3.5, 3.0])


def test_the_loss_of_a_look_is_that_of_the_pairs_and_replay_stands_beside_it(
    tmp_path: Path,
) -> None:
    from tests.train.alarm.fakes import line, nats

    again = [replace(row, bucket="replay", key=f"r{row.key}") for row in heldout()]
    alarm = fake_alarm(tmp_path, steady, rows=heldout() + again)
    alarm.begin(nats(4.0) + nats(3.0))
    alarm.after_step(line(10, 3.0), nats(3.0) + nats(3.5, seed=1))
    look = read_records(tmp_path / ALARM_NAME, Look)[1]
    assert look.heldout_loss == pytest.approx(3.0)
    assert look.loss_by_bucket == pytest.approx({"replay": 3.5})
    assert look.worse == ("replay",) and look.verdict == "note"
    assert look.why == "the held-out loss of replay rose"


def test_what_the_base_does_not_have_is_said_to_be_unable_to_fall(tmp_path: Path) -> None:
    alarm = fake_alarm(tmp_path, steady)
    base = alarm.passes.base  # type: ignore[attr-defined]
    base[0::16] += 60  # `right` of the English families: known, and in their language
    go_on(alarm, FALLING[:1])
    floor = read_records(tmp_path / ALARM_NAME, Look)[0].floor
    assert floor["knowledge"] == ("hi",)
    said = [event["text"] for event in read_events(tmp_path, "note")]
    assert "knowledge cannot fall in hi: the base has none" in said
    assert not any(text.startswith("knowledge cannot fall in en") for text in said)
