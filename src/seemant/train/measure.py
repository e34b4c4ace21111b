"""What a finished run reports: losses, sizes and speed, as measurements."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from seemant.core.measurement import Measurement, of_interval
from seemant.core.runlog import read_events
from seemant.core.usage import peak_rss_bytes
from seemant.train.heldout import by_bucket, by_language, nats_per_token
from seemant.train.lines import Progress, StepLine
from seemant.train.rows.render import PAIRS, Row

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
    """Return the loss before, after and the paired change: the pairs' whole and by language.

    Other buckets (replay) have theirs with `bucket` among the conditions.
    """
    found = []
    for bucket, chosen in by_bucket(heldout).items():
        more = given if bucket == PAIRS else {**given, "bucket": bucket}
        rows = [heldout[i] for i in chosen]
        for lang, places in by_language(rows).items():
            some = [rows[i] for i in places]
            before = [progress.before[chosen[i]] for i in places]
            after = [progress.now[chosen[i]] for i in places]
            change = [b - a for a, b in zip(before, after, strict=True)]
            for name, nats in (("before", before), ("after", after), ("change", change)):
                ratio = nats_per_token(nats, some)
                found.append(of_interval(subject, f"heldout_loss_{name}", lang, ratio, more))
    return found


def kl_to_base(
    subject: str, heldout: Sequence[Row], kl: Sequence[float] | None, given: Conditions
) -> list[Measurement]:
    """Return KL(student ‖ base) a token of held-out answers: how far tuning has moved it.

    kl: nats of each held-out row's answer; None where there is no base to compare with.
    """
    if kl is None:
        return []
    found = []
    for bucket, chosen in by_bucket(heldout).items():
        more = given if bucket == PAIRS else {**given, "bucket": bucket}
        ratio = nats_per_token([kl[i] for i in chosen], [heldout[i] for i in chosen])
        found.append(of_interval(subject, "kl_to_base", None, ratio, more))
    return found


def costs(subject: str, out: Path, given: Conditions) -> list[Measurement]:
    """Return seconds a step, tokens a second and peak memory.

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
