"""The plan that fits a limit: the cheapest changes first, none of what the user has fixed.

Down, until it fits the limit less 5 %: compute layers again; the allocator's threshold; smaller
micro-batches; smaller vocabulary blocks; the base in int8, then int4; the embedding in int8, then
int4. Up, while it fits: layers kept; the base more exact; bigger micro-batches. The number of rows
of an optimiser step never changes. What rounds weights (base, embedding) changes answers: such
steps are taken only under a limit, and every run says them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from seemant.models.decoder.shape import DecoderShape
from seemant.train.config import MEMORY_FIELDS, TrainConfig
from seemant.train.memory.moves import Move, State, downwards, upwards
from seemant.train.memory.plan import Plan, micro_lengths, plan_of
from seemant.train.memory.refusal import refusal

MARGIN = 0.05  # of the limit is left: the count was 1 to 2 % low with the allocator fixed


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that the search looked at.

    order: its place in the search. peak_bytes: of the plan with it, None where it was not looked
    at. outcome: "taken", "fixed" (the user's), "no room", "no gain". rounds: it changes answers.
    """

    order: str
    name: str
    peak_bytes: int | None
    outcome: str
    price: str
    rounds: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A plan that fits, the settings that it stands for, and how it was found."""

    plan: Plan
    config: TrainConfig
    steps: tuple[Step, ...]


def fit_to(
    limit_bytes: float,
    shape: DecoderShape,
    config: TrainConfig,
    *,
    max_length: int,
    answer_share: float = 1.0,
    smaller_than: int | None = None,
    **given: Any,
) -> Found:
    """Return a plan within `limit_bytes` less 5 %, and the settings that it stands for.

    answer_share: most answer rows a token; 1 is an upper bound for any data. smaller_than: bytes
    that a plan which failed had predicted; this one takes at least 7 % less. given:
    `runtime_bytes`, `device`, `misses` of `plan_of`.

    Raises:
        InputError: nothing that may be changed makes it fit; names the largest term, the
            shortfall and two edits that would fit.
    """

    def planned(state: State, length: int = max_length) -> Plan:
        return plan_for(shape, state.config, length, answer_share, malloc=state.malloc, **given)

    room = limit_bytes * (1 - MARGIN)
    if smaller_than is not None:
        room = min(room, smaller_than * 0.93)
    fixed = fixed_fields(config)
    state = State(_settled(config), "default")
    plan = planned(state)
    steps = [Step("1", "streamed loss, answer rows only", plan.peak_bytes, "taken", "none")]
    if plan.peak_bytes > room:
        state, plan, more = _down(state, plan, room, fixed, planned)
    else:
        state, plan, more = _up(state, plan, room, fixed, planned)
    steps += more
    if plan.peak_bytes > room:

        def fits(other: TrainConfig, length: int) -> bool:
            changed = State(other, state.malloc)
            return planned(changed, length).peak_bytes <= room

        raise refusal(plan, state.config, limit_bytes, room, fits)
    return Found(plan, state.config, tuple(steps))


def plan_for(
    shape: DecoderShape,
    config: TrainConfig,
    max_length: int,
    answer_share: float = 1.0,
    **given: Any,
) -> Plan:
    """Return the plan of a run whose micro-batches have at most this share of answer rows."""
    answers = math.ceil(answer_share * sum(micro_lengths(config, max_length)))
    return plan_of(shape, config, max_length=max_length, answer_tokens=answers, **given)


def fixed_fields(config: TrainConfig) -> set[str]:
    """Return the settings that the search must leave alone: those that were given."""
    given = config.model_fields_set.intersection(MEMORY_FIELDS)
    return {name for name in given if getattr(config, name) != "auto"}


def _down(
    state: State, plan: Plan, room: float, fixed: set[str], planned: Callable[[State], Plan]
) -> tuple[State, Plan, list[Step]]:
    """Take what saves memory, cheapest first, until it fits; what gains nothing is put back."""
    steps: list[Step] = []
    waiting = list(downwards())
    for _ in range(2):  # what gained nothing may gain once another phase is the largest
        again = []
        for move in waiting:
            if plan.peak_bytes <= room:
                return state, plan, steps
            state, plan, taken, step = _try(
                move, state, plan, fixed, planned, lambda new, old: new < old
            )
            steps += step
            if not taken and not fixed & set(move.fields):
                again.append(move)
        waiting = again
    return state, plan, steps


def _up(
    state: State, plan: Plan, room: float, fixed: set[str], planned: Callable[[State], Plan]
) -> tuple[State, Plan, list[Step]]:
    """Give back what costs time or exactness, as far as it fits."""
    steps: list[Step] = []
    for move in upwards():
        while True:
            state, plan, taken, step = _try(
                move, state, plan, fixed, planned, lambda new, old: new <= room
            )
            steps += step
            if not taken or "batch" not in move.fields:
                break
    return state, plan, steps


def _try(
    move: Move,
    state: State,
    plan: Plan,
    fixed: set[str],
    planned: Callable[[State], Plan],
    accept: Callable[[int, int], bool],
) -> tuple[State, Plan, bool, list[Step]]:
    changed = move.apply(state)
    if changed is None:
        return state, plan, False, []
    if mine := sorted(fixed & set(move.fields)):
        step = Step(move.order, move.name, None, "fixed", f"you gave {', '.join(mine)}")
        return state, plan, False, [step]
    new = planned(changed)
    taken = accept(new.peak_bytes, plan.peak_bytes)
    outcome = "taken" if taken else "no gain" if new.peak_bytes >= plan.peak_bytes else "no room"
    if not taken and new.peak_bytes > plan.peak_bytes:
        outcome = "no room"
    step = Step(move.order, _said(move, changed), new.peak_bytes, outcome, move.price, move.rounds)
    return (changed, new, True, [step]) if taken else (state, plan, False, [step])


def _said(move: Move, state: State) -> str:
    values = [f"{field} {getattr(state.config, field)}" for field in move.fields]
    return f"{move.name}: {', '.join(values)}" if values else move.name


def _settled(config: TrainConfig) -> TrainConfig:
    """Return the settings with "auto" begun at the most exact."""
    auto = {name: "float" for name in ("base", "embedding") if getattr(config, name) == "auto"}
    return config.model_copy(update=auto)
