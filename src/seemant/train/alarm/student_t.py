"""Student's t distribution in plain Python: the train worker does without scipy (36 MB).

The tail is a regularised incomplete beta function, P(T > t) = I_x(df/2, 1/2) / 2 with
x = df / (df + t^2) (Abramowitz and Stegun 26.7.1, 26.5.2), and that a continued fraction (26.5.8)
summed by Lentz's method as Thompson and Barnett modified it.
"""

import math
from functools import cache

_TINY = 1e-300  # stands for a zero denominator in Lentz's method
_EPS = 1e-15
_MOST = 10_000


def t_tail(t: float, df: float) -> float:
    """Return P(T > t) for `df` degrees of freedom; small values keep their relative accuracy."""
    whole = df + t * t
    half = 0.5 * _beta(df / whole, t * t / whole, 0.5 * df, 0.5)
    return half if t >= 0 else 1.0 - half


@cache
def t_bound(tail: float, df: float) -> float:
    """Return the t that `tail` of the distribution lies above; 0 < tail <= 1/2, df >= 1.

    Bisection: the tail falls strictly, and 200 halvings leave nothing of a double's precision.
    """
    if not 0 < tail <= 0.5:
        raise ValueError(f"a tail of {tail}")
    low, high = 0.0, 1.0
    while t_tail(high, df) > tail:
        low, high = high, 2 * high
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (middle, high) if t_tail(middle, df) > tail else (low, middle)
    return high


def t_quantile(p: float, df: float) -> float:
    """Return the t that a share p of the distribution lies below, 0 < p < 1."""
    return t_bound(1 - p, df) if p >= 0.5 else -t_bound(p, df)


def _beta(x: float, y: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b); y = 1 - x, to full accuracy."""
    if x <= 0 or y <= 0:
        return 0.0 if x <= 0 else 1.0
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(front + a * math.log(x) + b * math.log(y))
    if x < (a + 1) / (a + b + 2):  # the fraction converges fast on this side
        return front * _fraction(x, a, b) / a
    return 1.0 - front * _fraction(y, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1.0 / _nonzero(1.0 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _MOST):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / _nonzero(1.0 + term * d)
            c = _nonzero(1.0 + term / c)
            value *= c * d
        if abs(c * d - 1.0) < _EPS:
            break
    return value


def _nonzero(x: float) -> float:
    return x if abs(x) > _TINY else _TINY
