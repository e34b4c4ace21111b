"""The pick: the smallest file among those whose quality is not surely below the best that fits.

Of all candidates that miss no floor, the best has the highest quality in its worst language of
those asked for. Another may take its place only by being smaller, and only when the paired
bootstrap's 95 % interval of the difference to the best reaches zero. With few probe families that
interval is wide and the rule leans to small files: the evidence printed beside it says so. Of files
of one size the better one is taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from seemant.frontier.bootstrap import draw, worst_language_difference
from seemant.frontier.floors import (
    UNREACHED,
    Miss,
    Request,
    Row,
    megabytes,
    misses,
    worst_quality,
)
from seemant.frontier.languages import language
from seemant.frontier.scores import Margins
from seemant.frontier.verdict import tallies


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request; `pick` is None where nothing fits."""

    request: Request
    pick: Row | None
    why: str
    runner_up: Row | None
    lost_because: str
    missed_floor: str | None
    least_bad: Row | None
    least_bad_misses: tuple[Miss, ...]
    n_fit: int


def answer(
    rows: Sequence[Row],
    margins: Mapping[str, Margins],
    request: Request,
    *,
    resamples: int,
    seed: int,
) -> Answer:
    """Return the pick for a request with its reasons, or which floor nothing reaches.

    rows: the candidates of `frontier.json`; margins: subject -> language -> family -> margin.
    """
    missed = {row["subject"]: misses(row, request) for row in rows}
    fits = sorted(
        (row for row in rows if not missed[row["subject"]]),
        key=lambda row: (-worst_quality(row, request.languages), row["file_bytes"], row["subject"]),
    )
    if not fits:
        return _unfit(rows, missed, request)
    best = fits[0]
    gaps = {
        row["subject"]: _difference(row, best, margins, request, resamples, seed) for row in fits
    }
    close = [row for row in fits if gaps[row["subject"]][2] >= 0]
    pick = min(
        close,
        key=lambda row: (
            row["file_bytes"],
            -worst_quality(row, request.languages),
            row["subject"],
        ),
    )
    why = _why(pick, best, fits, gaps[pick["subject"]], request)
    others = [row for row in fits if row is not pick]
    if others:
        second: Row | None = others[0]
        lost = _lost(others[0], pick, best, gaps, request)
    else:
        second, lost = _nearest_unfit(rows, missed, request)
    return Answer(request, pick, why, second, lost, None, None, (), len(fits))


def _difference(
    a: Row, b: Row, margins: Mapping[str, Margins], request: Request, resamples: int, seed: int
) -> tuple[float, float, float]:
    if a is b:
        return 0.0, 0.0, 0.0
    families = sorted(
        {f for row in (a, b) for g in request.languages for f in margins[row["subject"]][g]}
    )
    arrays = [
        np.array(
            [
                [margins[row["subject"]][g].get(f, np.nan) for f in families]
                for g in request.languages
            ]
        )
        for row in (a, b)
    ]
    return worst_language_difference(arrays[0], arrays[1], draw(len(families), resamples, seed))


def _why(
    pick: Row, best: Row, fits: Sequence[Row], gap: tuple[float, float, float], request: Request
) -> str:
    many = f"{len(fits)} candidates fit" if len(fits) > 1 else "it is the only candidate that fits"
    if pick is best:
        tail = (
            "; it has the highest quality in the worst language asked for, "
            "and no smaller one comes within its interval"
            if len(fits) > 1
            else ""
        )
        return many + tail
    tongues = ", ".join(map(language, request.languages))
    where = f"the worst of {tongues}" if len(request.languages) > 1 else tongues
    return (
        f"{many}; this is the smallest file ({megabytes(pick['file_bytes'])}) whose quality in "
        f"{where} is not surely below the best, {best['subject']}: {_gap(gap)}"
    )


def _lost(
    row: Row,
    pick: Row,
    best: Row,
    gaps: Mapping[str, tuple[float, float, float]],
    request: Request,
) -> str:
    size = f"{megabytes(row['file_bytes'])} against {megabytes(pick['file_bytes'])}"
    if row["file_bytes"] == pick["file_bytes"]:
        same = f"a file of the same size ({megabytes(row['file_bytes'])})"
        if worst_quality(row, request.languages) < worst_quality(pick, request.languages):
            return f"{same} with a lower quality in the worst language"
        return f"{same} and the same quality; the first by name is taken"
    if row is best:
        return f"a larger file ({size}) for a quality that is not surely higher"
    gap = gaps[row["subject"]]
    if gap[2] < 0:
        return f"its quality is surely below the best, {best['subject']}: {_gap(gap)}"
    return f"a larger file ({size}) without a surely higher quality"


def _gap(gap: tuple[float, float, float]) -> str:
    return f"difference {gap[0]:+.3f} nats/byte, 95 % interval {gap[1]:+.3f} to {gap[2]:+.3f}"


def _nearest_unfit(
    rows: Sequence[Row], missed: Mapping[str, list[Miss]], request: Request
) -> tuple[Row | None, str]:
    rest = [row for row in rows if missed[row["subject"]]]
    if not rest:
        return None, ""
    row = min(rest, key=lambda row: _badness(row, missed, request))
    return row, "; ".join(miss.why for miss in missed[row["subject"]])


def _unfit(rows: Sequence[Row], missed: Mapping[str, list[Miss]], request: Request) -> Answer:
    if not rows:
        return Answer(request, None, "there are no candidates", None, "", None, None, (), 0)
    least = min(rows, key=lambda row: _badness(row, missed, request))
    failed = missed[least["subject"]]
    floors = list(dict.fromkeys(miss.floor for miss in failed))
    tried = [row for row in rows if row["deployable"]] or rows
    names = [{miss.floor for miss in missed[row["subject"]]} for row in tried]
    alone = [floor for floor in floors if all(floor in each for each in names)]
    floor = alone[0] if alone else floors[0]
    why = (
        UNREACHED[floor]
        if alone
        else "each floor is reached by some candidate, but no candidate reaches all of them"
    )
    return Answer(request, None, why, None, "", floor, least, tuple(failed), 0)


def _worst_share(row: Row, request: Request) -> float:
    known = tallies(row)
    return min(known[g].right / known[g].asked if g in known else 0.0 for g in request.languages)


def _badness(
    row: Row, missed: Mapping[str, list[Miss]], request: Request
) -> tuple[bool, bool, bool, int, float, float, str]:
    """Order of the least bad: can be deployed at all, is not damaged in a language asked for, goes
    onto the device, fewest floors missed, most right answers and then highest quality in its worst
    language.

    A lucky margin of a broken model is no virtue, nor is that of one which the device cannot hold.
    """
    failed = missed[row["subject"]]
    return (
        not row["deployable"],
        any(lang in row.get("damaged", ()) for lang in request.languages),
        any(miss.floor in ("max_file", "max_memory") for miss in failed),
        len({miss.floor for miss in failed}),
        -_worst_share(row, request),
        -worst_quality(row, request.languages),
        row["subject"],
    )
