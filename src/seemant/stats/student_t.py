"""Student's t distribution in plain Python: the train worker does without scipy (36 MB).

The tail is a regularised incomplete beta function, P(T > t) = I_x(a, 1/2) / 2 with a = df/2 and
x = df / (df + t^2) (Abramowitz and Stegun 26.7.1, 26.5.2), and that a continued fraction (26.5.8)
summed by Lentz's method as Thompson and Barnett modified it. One definition serves the worker and
everybody else; the tests hold it against scipy, up to 100,000 degrees of freedom.
"""

import math
from functools import cache

LEVEL = 0.025  # beyond each end of a 95 % interval
_TINY = 1e-300  # stands for a zero denominator in Lentz's method
_EPS = 1e-15
_MOST = 10_000
_LARGE = 50.0  # from here on the series of `_log_gamma_step` is exact to a double


def t_tail(t: float, df: float) -> float:
    """Return P(T > t) for `df` degrees of freedom; small values keep their relative accuracy."""
    half = 0.5 * _beta(t * t, df)
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


def _beta(square: float, df: float) -> float:
    """Return I_x(df/2, 1/2) at t^2 = square."""
    x, y = df / (df + square), square / (df + square)
    if x <= 0 or y <= 0:
        return 0.0 if x <= 0 else 1.0
    a = 0.5 * df
    front = _log_gamma_step(a) - 0.5 * math.log(math.pi) - a * math.log1p(square / df)
    front = math.exp(front) * math.sqrt(y)
    if x < (a + 1) / (a + 2.5):  # the fraction converges fast on this side
        return front * _fraction(x, a, 0.5) / a
    return 1.0 - front * _fraction(y, 0.5, a) / 0.5


def _log_gamma_step(a: float) -> float:
    """Return log Gamma(a + 1/2) - log Gamma(a), for large a by its series: there both are huge."""
    if a < _LARGE:
        return math.lgamma(a + 0.5) - math.lgamma(a)
    return 0.5 * math.log(a) - 1 / (8 * a) + 1 / (192 * a**3) - 1 / (640 * a**5)


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
