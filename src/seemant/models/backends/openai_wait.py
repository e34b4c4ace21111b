"""How long a server asks to be left alone, in every form in which servers say it."""

import email.utils
import math
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime

LONGEST_WAIT_S = 90.0
"""The longest wait before another try, whatever a server names: its minute, and some more."""

_MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms")
_SPANS = (
    *("retry-after", "x-ratelimit-reset-after", "x-ratelimit-reset-requests"),
    "x-ratelimit-reset",
)
_A_TIME = 1e9  # a larger number is no wait but a time: seconds since 1970, or thousandths of them
_SPAN = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:([\d.]+)s)?(?:([\d.]+)ms)?")


def wished_wait(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that an answer's headers ask for, from 0 up; None where they ask nothing.

    Read are seconds and fractions of them, HTTP and ISO dates, seconds since 1970, milliseconds in
    headers of their own, and spans such as 1m30s. What makes no sense (a negative number, NaN)
    is no wish.
    """
    given = {name.lower(): value.strip() for name, value in headers.items()}
    for name in _MILLISECONDS:
        if (wait := _number(given.get(name, ""))) is not None:
            return wait / 1000
    for name in _SPANS:
        if name not in given:
            continue
        for read in (_number, _span, _date):
            if (wait := read(given[name])) is not None:
                return wait
    return None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    if not (value >= 0 and math.isfinite(value)):
        return None
    if value > _A_TIME:
        return max(value / (1000 if value > 1000 * _A_TIME else 1) - time.time(), 0.0)
    return value


def _span(text: str) -> float | None:
    found = _SPAN.fullmatch(text)
    if not text or found is None:
        return None
    numbers = [_number(part) if part else 0.0 for part in found.groups()]
    if None in numbers:
        return None
    return sum(n * unit for n, unit in zip(numbers, (3600, 60, 1, 0.001), strict=True) if n)


def _date(text: str) -> float | None:
    for read in (email.utils.parsedate_to_datetime, datetime.fromisoformat):
        try:
            then = read(text)
            told = then if then.tzinfo else then.replace(tzinfo=UTC)
            return max(told.timestamp() - time.time(), 0.0)
        except (ValueError, TypeError, OverflowError):
            continue
    return None
