"""A run with a memory limit: plan, search, train in a child, and once more with less on failure.

This side never imports torch: it is small beside the child, and lives on when that is killed.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from seemant.core.errors import InputError, WorldError
from seemant.core.measurement import Measurement
from seemant.core.refs import short_name
from seemant.core.runlog import log_event, read_events
from seemant.core.stage import Inputs
from seemant.models.decoder.shape import DecoderShape
from seemant.train.config import TrainConfig
from seemant.train.memory import phases
from seemant.train.memory.attempt import COMMAND, Attempt, attempt, log_attempt, measured_by
from seemant.train.memory.calibrate import learn, plan_of_steps
from seemant.train.memory.floor import libraries_of, runtime_floor
from seemant.train.memory.limit import WAYS, Way
from seemant.train.memory.misses import misses
from seemant.train.memory.plan import Plan, predicted
from seemant.train.memory.plan_text import plan_text, search_text
from seemant.train.memory.search import Found, fit_to
from seemant.train.memory.shape_of import shape_of_model

RETRIES = 3


def train_limited(
    config: TrainConfig,
    inputs: Inputs,
    out: Path,
    *,
    ways: tuple[Way, ...] = WAYS,
    command: Sequence[str] = COMMAND,
    say: Callable[[str], object] = lambda text: sys.stderr.write(text + "\n"),
) -> list[Measurement]:
    """Train within `config.memory_limit` and return the measurements, the plan's among them.

    A try that runs out of memory is repeated from its last checkpoint with the next smaller plan,
    at most three times.

    Raises:
        InputError: no plan fits (it says what would), or the training's own errors.
        WorldError: every try ran out of memory, or the training's own errors.
    """
    assert config.memory_limit is not None
    limit = config.memory_limit
    model = inputs["model"]
    shape = shape_of_model(model.path)
    name = config.subject or short_name(model.label)
    runtime = runtime_floor(libraries_of(config.base, config.optimiser))
    smaller_than: int | None = None
    for number in range(1 + RETRIES):
        try:
            found = fit_to(
                limit,
                shape,
                config,
                max_length=config.max_length,
                smaller_than=smaller_than,
                runtime_bytes=runtime,
                misses=misses(),
            )
        except InputError as error:
            if smaller_than is None:
                raise
            raise WorldError(
                f"ran out of memory {number} times; {error.what}", where=str(out), fix=error.fix
            ) from error
        say(search_text(found.steps, limit))
        say(plan_text(found.plan, name))
        steps = [asdict(step) for step in found.steps]
        log_event(out, "plan", **found.plan.as_dict(), search=steps, limit=limit)
        tried = attempt(
            config,
            found.config,
            inputs,
            out,
            limit_bytes=limit,
            malloc=found.plan.malloc,
            ways=ways,
            command=command,
        )
        log_attempt(out, tried)
        if tried.ending == "done":
            _learn(out, shape, found, tried, runtime)
            return _measured(tried, found, name)
        say(_why(out, tried, found.plan, limit))
        smaller_than = found.plan.peak_bytes
    raise WorldError(
        f"ran out of memory {1 + RETRIES} times, with a smaller plan each time; {tried.said}",
        where=str(out),
        fix="a larger --memory-limit, a shorter --max-length, or a smaller model",
    )


def _why(out: Path, tried: Attempt, plan: Plan, limit: float) -> str:
    """Return what a failed try says: where it was, what it held, which term grew."""
    phase, where = _reached(out)
    terms = dict(dict(plan.phases)[phase])
    passing = (
        {k: v for k, v in terms.items() if k not in phases.LASTING} if phase != phases.LOAD else {}
    )
    grew = max(passing or terms, key=lambda key: (passing or terms)[key])
    seen = max(tried.peak_rss, tried.own_peak or 0)
    planned = sum(terms.values())
    return (
        f"{tried.ending} ({tried.how}, {limit / 1e6:,.0f} MB) {where}: "
        f"it held {seen / 1e6:,.0f} MB where {planned / 1e6:,.0f} MB were planned; "
        f"what grew: {grew} (planned {terms[grew] / 1e6:,.0f} MB). {tried.said}".strip()
    )


def _reached(out: Path) -> tuple[str, str]:
    """Return the phase that a try ended in, and words for it, from its own events."""
    events = read_events(out)
    starts = [place for place, event in enumerate(events) if event["kind"] == "plan"]
    since = events[starts[-1] + 1 :] if starts else events
    steps = [event["step"] for event in since if event["kind"] == "step"]
    if steps:
        return phases.BACKWARD, f"after step {max(steps)}"
    if any(event["kind"] in ("checked", "resumed") for event in since):
        return phases.BACKWARD, "in its first step"
    return phases.LOAD, "before its first step"


def _learn(out: Path, shape: DecoderShape, found: Found, tried: Attempt, runtime: int) -> None:
    """Keep how far the count was off, for the micro-batches that really came."""
    steps = [event for event in read_events(out, "step") if event.get("micro_tokens")]
    if not steps or tried.own_peak is None:
        return
    plan = plan_of_steps(
        shape, found.config, steps, runtime_bytes=runtime, malloc=found.plan.malloc
    )
    miss = learn(plan, tried.own_peak)
    log_event(out, "plan_miss", planned=plan.peak_bytes, measured=tried.own_peak, miss=miss)


def _measured(tried: Attempt, found: Found, name: str) -> list[Measurement]:
    """Return the child's measurements and, of the same subject, the plan's own."""
    measured = measured_by(tried)
    peaks = [m for m in measured if m.metric == "peak_rss" and m.origin == "measured"]
    return [*measured, predicted(peaks[-1].subject if peaks else name, found.plan)]
