"""Floors: what a request asks of a candidate, and which of it a candidate misses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seemant.core.measurement import TOO_FEW
from seemant.frontier.languages import language
from seemant.frontier.verdict import MIN_RIGHT, Word, tallies, told, words_of, worst

Row = Mapping[str, Any]
"""One candidate of `frontier.json`."""


# What is said where no deployable candidate reaches a floor.
UNREACHED: Mapping[str, str] = {
    "deployable": "no candidate can be deployed",
    "max_file": "no deployable candidate keeps to the file size",
    "max_memory": "no deployable candidate keeps to the memory",
    "max_latency": "no deployable candidate is known to keep to the time a token",
    "undamaged": "compression damaged every deployable candidate in a language asked for",
    "min_right": "no deployable candidate is known to answer enough questions right",
    "min_quality": "no deployable candidate reaches the quality floor",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked: a device by name, languages, floors. None sets no floor.

    latency_known: whether latencies were measured on the device asked for.
    """

    device: str
    languages: tuple[str, ...]
    min_quality: float
    min_right: float = MIN_RIGHT
    max_memory_bytes: float | None = None
    max_latency_ms: float | None = None
    max_file_bytes: float | None = None
    latency_known: bool = True


@dataclass(frozen=True, slots=True)
class Miss:
    """A floor that a candidate misses, and by what."""

    floor: str
    why: str


def misses(row: Row, request: Request) -> list[Miss]:
    """Return all floors that a candidate misses, in a fixed order; empty means that it fits.

    What was not measured is missed: a recommendation rests on evidence.
    """
    found = [Miss("deployable", "; ".join(row["warnings"]))] if not row["deployable"] else []
    found += _sizes(row, request)
    found += _latency(row, request)
    for lang in request.languages:
        if lang in row.get("damaged", ()):
            why = (
                f"compression damaged it in {language(lang)} ({row['guard'][lang]:.2f} nats/token)"
            )
            found.append(Miss("undamaged", why))
    found += _right(row, request)
    for lang in request.languages:
        found += _quality(row["quality"].get(lang), lang, request.min_quality)
    return found


def word_for(row: Row, request: Request) -> Word:
    """Return the verdict on a candidate for a request: its worst language, or too big."""
    words = words_of(row, request.languages, min_right=request.min_right)
    sizes = (
        (row["file_bytes"], request.max_file_bytes),
        (row["peak_rss_bytes"], request.max_memory_bytes),
    )
    over = any(has is not None and limit is not None and has > limit for has, limit in sizes)
    return "too big" if over else worst(list(words.values()))


def worst_quality(row: Row, languages: Sequence[str]) -> float:
    """Return the candidate's quality in its worst language of those asked for; -inf if unknown."""
    known = [row["quality"].get(g) for g in languages]
    return min((q["value"] if q else float("-inf")) for q in known)


def megabytes(n_bytes: float) -> str:
    """Return bytes in words: "253 MB"."""
    return f"{n_bytes / 1e6:,.0f} MB"


def _sizes(row: Row, request: Request) -> list[Miss]:
    return [
        *_above("max_file", row["file_bytes"], request.max_file_bytes, megabytes, "file"),
        *_above(
            "max_memory", row["peak_rss_bytes"], request.max_memory_bytes, megabytes, "peak memory"
        ),
    ]


def _right(row: Row, request: Request) -> list[Miss]:
    """Return a miss for each language in which it is not known to answer well enough."""
    found = []
    known = tallies(row)
    words = words_of(row, request.languages, min_right=request.min_right)
    for lang, word in words.items():
        if word in ("good", "damaged by compression"):  # the latter has a floor of its own
            continue
        if request.min_right or word == "no better than guessing":
            asks = f"the floor: surely more than {request.min_right:.0%}"
            if word == "no better than guessing":
                asks = f"{word}; {asks}" if request.min_right else word
            found.append(Miss("min_right", f"{told(known.get(lang), lang)}; {asks}"))
    return found


def _above(floor: str, value: float | None, limit: float | None, say: Any, name: str) -> list[Miss]:
    if limit is None:
        return []
    if value is None:
        return [Miss(floor, f"{name} was not measured; the limit is {say(limit)}")]
    return [Miss(floor, f"{name} {say(value)}, limit {say(limit)}")] if value > limit else []


def _latency(row: Row, request: Request) -> list[Miss]:
    limit, rate = request.max_latency_ms, row["decode_tokens_per_s"]
    if limit is None:
        return []
    if not request.latency_known or not rate:
        why = f"latency not measured on this device; the limit is {limit:g} ms a token"
        return [Miss("max_latency", why)]
    taken = 1000 / rate
    return (
        [Miss("max_latency", f"{taken:.1f} ms a token, limit {limit:g} ms")]
        if taken > limit
        else []
    )


def _quality(quality: Mapping[str, Any] | None, lang: str, floor: float) -> list[Miss]:
    if quality is None:
        return [Miss("min_quality", f"no quality was measured in {language(lang)}")]
    value, low = quality["value"], quality["ci_low"]
    if low is None:
        n, tongue = quality["n_clusters"], language(lang)
        why = f"{n} families in {tongue} are too few for an interval"
        if quality.get("ci_method", TOO_FEW) != TOO_FEW:
            why = f"no interval in {tongue}: {quality['ci_method'].removeprefix('none: ')}"
        return [Miss("min_quality", why)]
    if low > floor:
        return []
    chance = "; not surely better than chance" if floor == 0 else ""
    return [
        Miss(
            "min_quality",
            f"PMI margin in {language(lang)} {value:+.3f} nats/byte, "
            f"95 % interval from {low:+.3f}, which is not above the floor {floor:g}{chance}",
        )
    ]
