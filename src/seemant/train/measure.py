"""What a finished run reports: losses, sizes and speed, as measurements."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from seemant.core.measurement import Measurement
from seemant.core.runlog import read_events
from seemant.core.usage import peak_rss_bytes
from seemant.probe.intervals import Interval
from seemant.train.heldout import by_language, nats_per_token
from seemant.train.loop import Progress, StepLine
from seemant.train.render import Row

Conditions = Mapping[str, str | int | float | bool | None]
_ENDS = 5  # steps that the first and the last training loss are a mean of
_NO_LOSS_INTERVAL = "none: one run, steps are not independent"
_NO_TIME_INTERVAL = "none: consecutive steps of one run"


def train_loss(subject: str, history: Sequence[StepLine], given: Conditions) -> list[Measurement]:
    """Return the mean loss a token of the first and of the last five steps."""
    steps = [line for line in history if line.loss is not None]
    found = []
    for name, part in (("first", steps[:_ENDS]), ("last", steps[-_ENDS:])):
        tokens = sum(line.answer_tokens for line in part)
        nats = sum((line.loss or 0.0) * line.answer_tokens for line in part)
        found.append(
            Measurement(
                subject=subject,
                metric=f"train_loss_{name}",
                value=nats / tokens,
                unit="nats/token",
                ci_method=_NO_LOSS_INTERVAL,
                n=tokens,
                conditions={**given, "steps": len(part)},
            )
        )
    return found


def heldout_loss(
    subject: str, heldout: Sequence[Row], progress: Progress, given: Conditions
) -> list[Measurement]:
    """Return the loss before, after and the paired change, over all pairs and by language."""
    found = []
    for lang, chosen in by_language(heldout).items():
        rows = [heldout[i] for i in chosen]
        before = [progress.before[i] for i in chosen]
        after = [progress.now[i] for i in chosen]
        change = [b - a for a, b in zip(before, after, strict=True)]
        for name, nats in (("before", before), ("after", after), ("change", change)):
            ratio = nats_per_token(nats, rows)
            found.append(_of_ratio(subject, f"heldout_loss_{name}", lang, ratio, given))
    return found


def costs(subject: str, out: Path, given: Conditions) -> list[Measurement]:
    """Return seconds a step, tokens a second (padding not counted) and peak memory.

    The steps' events are read, so a run that was killed and went on reports all of its steps.
    """
    steps = {event["step"]: event for event in read_events(out, "step")}
    seconds = [float(event["seconds"]) for event in steps.values()]
    tokens = sum(int(event["tokens"]) for event in steps.values())
    memory = max([peak_rss_bytes(), *(int(event["peak_rss"]) for event in steps.values())])
    rows = [("peak_rss", float(memory), "bytes")]
    if steps:  # none where someone removed the run log
        rows += [
            ("step_time", median(seconds), "s"),
            ("train_speed", tokens / sum(seconds), "tokens/s"),
        ]
    return [
        Measurement(
            subject=subject,
            metric=metric,
            value=value,
            unit=unit,
            ci_method=_NO_TIME_INTERVAL,
            n=max(1, len(seconds)),
            conditions=dict(given),
        )
        for metric, value, unit in rows
    ]


def _of_ratio(
    subject: str, metric: str, lang: str | None, ratio: Interval, given: Conditions
) -> Measurement:
    return Measurement(
        subject=subject,
        metric=metric,
        lang=lang,
        value=ratio.value,
        unit="nats/token",
        ci_low=ratio.low,
        ci_high=ratio.high,
        ci_method=ratio.method,
        n=ratio.n,
        n_clusters=ratio.n_clusters,
        conditions=dict(given),
    )
