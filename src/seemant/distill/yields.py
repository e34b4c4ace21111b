"""What a run is measured by: the share of pairs kept, the reasons of the others, the time."""

from collections import Counter
from collections.abc import Sequence

from seemant.core.measurement import Measurement, exact, of_interval
from seemant.core.records import LANGUAGES, Pair
from seemant.distill.verdict import Dropped


def yields(subject: str, kept: Sequence[Pair], dropped: Sequence[Dropped]) -> list[Measurement]:
    """Return the yield, over all and by language; clusters are paragraphs."""
    from seemant.stats.clusters import proportion

    found = []
    for lang in (None, *LANGUAGES):
        good = [pair.paragraph_id for pair in kept if lang in (None, pair.lang)]
        bad = [pair.paragraph_id for pair in dropped if lang in (None, pair.lang)]
        if not good and not bad:
            continue
        share = proportion([1.0] * len(good) + [0.0] * len(bad), [*good, *bad])
        found.append(of_interval(subject, "yield", lang, share, {}, "share"))
    return found


def drops(subject: str, dropped: Sequence[Dropped]) -> list[Measurement]:
    """Return the number of dropped pairs by language and first reason."""
    counts = Counter((pair.lang, pair.reasons[0].partition(":")[0]) for pair in dropped)
    return [
        exact(subject, "dropped", n, "pairs", lang=lang, conditions={"reason": reason})
        for (lang, reason), n in sorted(counts.items())
    ]


def speed(
    subject: str, seconds: float, n_replies: int, workers: int, n_kept: int | None
) -> list[Measurement]:
    """Return the time of this run's own replies; nothing where a journal held them all.

    n_kept: pairs kept of these replies; None where the run went on from another one's, as then
    the pairs are of both.
    """
    if not n_replies:
        return []
    conditions = {"workers": workers}

    def timed(metric: str, value: float, unit: str) -> Measurement:
        return Measurement(
            subject=subject,
            metric=metric,
            value=value,
            unit=unit,
            ci_method="none: one run",
            n=n_replies,
            conditions=dict(conditions),
        )

    found = [
        timed("generation", seconds, "s"),
        timed("reply_rate", n_replies / max(seconds, 1e-9), "samples/s"),
    ]
    if n_kept is not None:
        found.append(timed("pair_rate", n_kept / max(seconds, 1e-9), "pairs/s"))
    return found
