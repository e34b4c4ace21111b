"""From samples to measurements: medians with their spread, sizes, and the memory prediction."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from seemant.bench.prediction import predictions
from seemant.bench.subjects import Subject
from seemant.core.measurement import Measurement, exact

Conditions = dict[str, str | int | float | bool | None]
Samples = Mapping[str, Sequence[Mapping[str, Any]]]

# metric, unit, key of the sample
METRICS = (
    ("prefill", "tokens/s", "prefill_tokens_per_s"),
    ("decode", "tokens/s", "decode_tokens_per_s"),
    ("ttft", "ms", "ttft_ms"),
    ("load", "s", "load_s"),
    ("peak_rss", "bytes", "peak_rss_bytes"),
)
DEVICE = "this-machine"


def measurements_of(
    subjects: Sequence[Subject], samples: Samples, conditions: Conditions, context: int
) -> list[Measurement]:
    """Return what was measured of each subject, and the memory predicted from that.

    The interval of a timed value is the span of its runs, not a confidence interval of the
    machine's speed: a handful of runs under one load has none.
    """
    found: list[Measurement] = []
    for subject in subjects:
        runs = samples[subject.name]
        about = conditions | {"load_average": round(median(r["load_average"] for r in runs), 2)}
        found.append(
            exact(subject.name, "file_bytes", subject.file_bytes, "bytes", conditions=conditions)
        )
        for metric, unit, key in METRICS:
            more = about
            if metric == "peak_rss":
                more = about | {
                    "anonymous_bytes": int(median(r["anonymous_bytes"] for r in runs)),
                    "python_bytes": int(median(r["python_bytes"] for r in runs)),
                }
            found.append(_spread(subject.name, metric, unit, [r[key] for r in runs], more))
    peaks = {name: median(r["peak_rss_bytes"] for r in runs) for name, runs in samples.items()}
    return found + predictions(subjects, peaks, context)


def _spread(
    subject: str, metric: str, unit: str, values: list[float], conditions: Conditions
) -> Measurement:
    n = len(values)
    several = n > 1
    return Measurement(
        subject=subject,
        metric=metric,
        value=median(values),
        unit=unit,
        ci_low=min(values) if several else None,
        ci_high=max(values) if several else None,
        ci_method=f"min-max of {n} runs" if several else "none: one run",
        n=n,
        device=DEVICE,
        conditions=conditions,
    )
