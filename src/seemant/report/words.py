"""How the page says things: languages, sizes, numbers with their intervals, origins."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from seemant.core.measurement import TOO_FEW, Measurement
from seemant.frontier.languages import language
from seemant.report.html import Html, el

LANGUAGE_ORDER = ("hi", "kn", "en")
MINUS = "−"
SHARPNESS = (
    "The PMI margin is not free of sharpness: sharper or damaged models have larger margins of "
    "either sign. Read it with the choice accuracy (how often the right answer has the largest "
    "PMI) and, for a variant, the divergence."
)


def languages_in(codes: Any) -> list[str]:
    """Return languages in the page's one order, unknown ones last."""
    given = set(codes)
    known = [code for code in LANGUAGE_ORDER if code in given]
    return known + sorted(given - set(known))


def chip(code: str) -> Html:
    """Return a language as a small coloured label."""
    return el("span", language(code), class_="chip", data_lang=code)


def sentence(words: str) -> str:
    """Return words with a capital first letter."""
    return words[:1].upper() + words[1:]


def within(name: str) -> str:
    """Return a title as it stands within a sentence: a leading "A" or "The" is written small."""
    first, _, rest = name.partition(" ")
    return f"{first.lower()} {rest}" if first in ("A", "An", "The", "This") and rest else name


def spoken(names: Sequence[str]) -> str:
    """Return names as they are spoken: "a, b and c"."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def size(n_bytes: float | None) -> str:
    """Return bytes in decimal units: "253 MB"."""
    if n_bytes is None:
        return "–"
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= scale:
            value = n_bytes / scale
            shown = f"{value:.0f}" if value >= 100 else f"{value:.1f}"
            return f"{shown}\u00a0{unit}"  # a no-break space
    return f"{n_bytes:.0f} B"


def duration(seconds: float) -> str:
    """Return seconds in words: "8.2 s", "3 min 20 s", "1 h 5 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    whole = timedelta(seconds=round(seconds))
    minutes, rest = divmod(int(whole.total_seconds()), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def number(value: float | None, digits: int = 3, *, signed: bool = False) -> str:
    """Return a number with a true minus sign; "–" for None."""
    if value is None:
        return "–"
    if value == int(value) and abs(value) >= 1000:
        return f"{int(value):,}".replace("-", MINUS)
    shown = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    return shown.replace("-", MINUS)


def significant(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits: 0.0042, 4.42, 1,234."""
    if value == 0:
        return "0"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}".replace("-", MINUS)
    return f"{value:#.{digits}g}".rstrip(".").replace("-", MINUS)


def interval(low: float | None, high: float | None, digits: int = 3) -> Html | None:
    """Return an interval as small text; None without one."""
    if low is None or high is None:
        return None
    return el("span", f"{number(low, digits)} to {number(high, digits)}", class_="ci")


def spread(
    low: float | None, high: float | None, method: str, n: int, digits: int = 3
) -> Html | None:
    """Return an interval as small text; of too few observations, how many there were."""
    if method == TOO_FEW:
        return el("span", f"n = {n}, too few for an interval", class_="ci few")
    return interval(low, high, digits)


def spread_of(m: Measurement, digits: int = 3) -> Html | None:
    """Return the interval of a measurement; n counts its clusters where it has any."""
    n = m.n if m.n_clusters is None else m.n_clusters
    return spread(m.ci_low, m.ci_high, m.ci_method, n, digits)


def origin_badge(origin: str) -> Html:
    """Return "measured", "predicted" or "reported" as a label."""
    return el("span", origin, class_="origin", data_origin=origin)


def mark_of(measurement: Measurement | None) -> Html | None:
    """Return a label for a number that was not measured here; measured ones carry the table's."""
    if measurement is None or measurement.origin == "measured":
        return None
    return origin_badge(measurement.origin)
