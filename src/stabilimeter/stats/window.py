"""The recent past of one series: what value to expect next, and how far off values usually are."""

from bisect import bisect_left, insort
from math import inf, sqrt
from typing import NamedTuple

CAPACITY = 128
"""Number of past residuals that set the scale."""

_LEVEL_SPAN = 9
_FLOAT32_ULPS = 4 * 2.0**-23


class Window(NamedTuple):
    """The last accepted values of a series, seen as one-step-ahead residuals.

    A residual is a value minus the median of the few values before it. Residuals follow a slow trend or a wandering
    level, which the raw values of a decreasing loss do not, so their quantiles are a fair yardstick for the next one.

    Attributes:
        values: The last accepted values, oldest first; at most 9, enough for the local level.
        residuals: The last accepted residuals, oldest first; at most ``CAPACITY``.
        ranked: The same residuals in ascending order.
        magnitude: Largest absolute value accepted so far; sets what is mere rounding.
    """

    values: tuple[float, ...] = ()
    residuals: tuple[float, ...] = ()
    ranked: tuple[float, ...] = ()
    magnitude: float = 0.0


class Forecast(NamedTuple):
    """What a window says of the next value: ``centre`` +- ``scale`` (one robust standard deviation), from ``n`` residuals."""

    centre: float
    scale: float
    n: int


def local_level(window: Window) -> float:
    """Median of the last few values: one while the window is young, up to nine when it is full."""
    n = len(window.residuals)
    span = 1 if n < 16 else 3 if n < 32 else 5 if n < 64 else _LEVEL_SPAN
    ranked = sorted(window.values[-span:])
    return ranked[len(ranked) // 2]


def forecast(window: Window) -> Forecast:
    """Centre and scale of the next value.

    The scale is half the width of the central 68 % of the residuals, which equals the standard deviation for Gaussian
    noise and ignores up to 16 % of outliers on either side. Where more than 68 % are equal (a flat or coarsely rounded
    history) it is the standard deviation, and never less than the rounding of a float32 of that magnitude: a change of
    1e-7 on a constant 1.0 is rounding, a change of 1e-3 is not.
    """
    if not window.values:
        return Forecast(0.0, inf, 0)
    n = len(window.ranked)
    rounding = _FLOAT32_ULPS * window.magnitude
    if n == 0:
        return Forecast(window.values[-1], inf, 0)
    middle = _quantile(window.ranked, 0.5)
    scale = 0.5 * (_quantile(window.ranked, 0.8413) - _quantile(window.ranked, 0.1587))
    if scale <= rounding:
        scale = sqrt(sum((r - middle) ** 2 for r in window.residuals) / n)
    return Forecast(local_level(window) + middle, max(scale, rounding), n)


def accepted(window: Window, value: float) -> Window:
    """The window after one more value."""
    values = (window.values + (value,))[-_LEVEL_SPAN:]
    magnitude = max(window.magnitude, abs(value))
    if not window.values:
        return Window(values, magnitude=magnitude)
    residual = value - local_level(window)
    ranked = list(window.ranked)
    residuals = window.residuals
    if len(residuals) == CAPACITY:
        del ranked[bisect_left(ranked, residuals[0])]
        residuals = residuals[1:]
    insort(ranked, residual)
    return Window(values, residuals + (residual,), tuple(ranked), magnitude)


def _quantile(ranked: tuple[float, ...], q: float) -> float:
    position = q * (len(ranked) - 1)
    low = int(position)
    high = min(low + 1, len(ranked) - 1)
    return ranked[low] + (position - low) * (ranked[high] - ranked[low])
