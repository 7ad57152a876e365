"""The recent past of one series: what value to expect next, and how far off values usually are.

Values are *oriented*: lower is better, so that only a rise can be bad.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from math import inf, isfinite, sqrt
from typing import NamedTuple

CAPACITY = 128
"""Number of residuals kept once a series is old enough."""

YOUNG = 16
"""Below this number of residuals, quantiles alone say little."""

_FEWEST = 8
LEVEL_SPAN = 5
FLOAT32_ROUNDING = 4 * 2.0**-23
TINY = 1e-300
_SIGMA_BELOW, _SIGMA_ABOVE = 0.1587, 0.8413


class Track(NamedTuple):
    """The last residuals of one way of forecasting, oldest first, and the same in ascending order."""

    residuals: tuple[float, ...] = ()
    ranked: tuple[float, ...] = ()


class Window(NamedTuple):
    """The last accepted values of a series, kept as one-step-ahead residuals.

    A residual is a value minus what was expected: the last value, or the median of the last five. The first suits a
    smooth or wandering series, the second a noisy one; both are tracked and the one with the smaller scale is used.
    Residuals follow a trend or a wandering level, which the raw values of a decreasing loss do not, so their quantiles
    are a fair yardstick for the next one.

    Attributes:
        values: The last accepted values, oldest first; at most 5.
        last: Residuals against the last value. While fewer than ``2 * CAPACITY`` have been seen, only the later half is
            kept (at least 8): the descent of the first steps says little about the noise later on.
        level: Residuals against the median of the last five, likewise.
        seen: Number of residuals accepted so far.
        magnitude: Largest absolute value accepted so far; sets what is mere rounding.
        first: The first value.
        best: The lowest value of the young series, later the lowest local level.
        roughest: The largest rise from one accepted value to the next; infinite in a window that has been restarted.
    """

    values: tuple[float, ...] = ()
    last: Track = Track()
    level: Track = Track()
    seen: int = 0
    magnitude: float = 0.0
    first: float = inf
    best: float = inf
    roughest: float = 0.0


class Forecast(NamedTuple):
    """What a window says of the next value.

    Attributes:
        centre: Expected value.
        scale: Robust standard deviation around it; infinite where nothing is known yet.
        n: Number of residuals that this rests on.
    """

    centre: float
    scale: float
    n: int


def local_level(window: Window) -> float:
    """Median of the last five values (the upper one where their number is even)."""
    return sorted(window.values)[len(window.values) // 2]


def forecast(window: Window) -> Forecast:
    """Centre and scale of the next value, by whichever track has the smaller scale.

    The scale is never less than the rounding of a float32 of that magnitude: 1e-7 more on a constant 1.0 is rounding,
    1e-3 more is not.
    """
    n = len(window.last.ranked)
    if n == 0:
        return Forecast(window.values[-1] if window.values else 0.0, inf, 0)
    rounding = rounding_of(window.magnitude)
    last_middle, last_scale = middle_and_scale(window.last.ranked, rounding)
    level_middle, level_scale = middle_and_scale(window.level.ranked, rounding)
    if last_scale <= level_scale:
        return Forecast(window.values[-1] + last_middle, last_scale, n)
    return Forecast(local_level(window) + level_middle, level_scale, n)


def accepted(window: Window, value: float) -> Window:
    """The window after one more value."""
    values, last, level, seen, magnitude, first, best, roughest = window
    if not values:
        first = first if isfinite(first) else value
        return Window((value,), magnitude=max(magnitude, abs(value)), first=first, best=min(best, value))
    middle = local_level(window)
    seen += 1
    return Window(
        (values + (value,))[-LEVEL_SPAN:],
        extended(last, value - values[-1], capacity(seen)),
        extended(level, value - middle, capacity(seen)),
        seen,
        max(magnitude, abs(value)),
        first,
        min(best, value if seen < YOUNG else middle),
        max(roughest, value - values[-1]),
    )


def capacity(seen: int) -> int:
    """How many residuals are kept once ``seen`` have been accepted."""
    return min(max(seen // 2, _FEWEST), CAPACITY)


def rounding_of(magnitude: float) -> float:
    """Differences that say nothing between float32 values as large as ``magnitude``."""
    return max(FLOAT32_ROUNDING * magnitude, TINY)


def bridged(window: Window, value: float) -> Window:
    """The window after the first value that is back from an episode: the level goes on from it.

    How far it is from the level before the episode says nothing about ordinary noise, so it leaves no residual.
    """
    return window._replace(values=(*window.values, value)[-LEVEL_SPAN:])


def restarted(window: Window, values: Iterable[float]) -> Window:
    """A window of these values alone; only where the series began and how good it has been is kept."""
    window = Window(magnitude=window.magnitude, first=window.first, best=window.best)
    for value in values:
        window = accepted(window, value)
    return window._replace(roughest=inf)


def extended(track: Track, residual: float, most: int = CAPACITY) -> Track:
    """The track after one more residual; the oldest one leaves if there are ``most`` of them."""
    residuals = track.residuals
    ranked = list(track.ranked)
    if len(residuals) >= most:
        del ranked[bisect_left(ranked, residuals[0])]
        residuals = residuals[1:]
    insort(ranked, residual)
    return Track((*residuals, residual), tuple(ranked))


def middle_of(values: Sequence[float]) -> float:
    """The median; written out, because that of the standard library takes three times as long for a few values."""
    ranked, half = sorted(values), len(values) // 2
    return ranked[half] if len(values) % 2 else (ranked[half - 1] + ranked[half]) / 2


def middle_and_scale(ranked: Sequence[float], rounding: float) -> tuple[float, float]:
    """Median and robust standard deviation of the residuals.

    The scale is half the width of the central 68 %: the standard deviation if they are Gaussian, and blind to 16 % of
    outliers on either side. A longer tail of improvements than of setbacks is a descent, not noise, so the lower
    half-width counts for no more than twice the upper one. Where most residuals are equal (a flat or coarsely rounded
    history) it is the standard deviation.
    """
    (i, fi), (j, fj), (k, fk) = PLACES[len(ranked)]
    low = ranked[i] + fi * (ranked[i + 1] - ranked[i]) if fi else ranked[i]
    middle = ranked[j] + fj * (ranked[j + 1] - ranked[j]) if fj else ranked[j]
    high = ranked[k] + fk * (ranked[k + 1] - ranked[k]) if fk else ranked[k]
    above = high - middle
    scale = 0.5 * (above + min(middle - low, 2.0 * above))
    if ranked[i] == middle or middle == ranked[k] or scale <= rounding:
        scale = max(rounding, sqrt(sum((r - middle) * (r - middle) for r in ranked) / len(ranked)))
    return middle, scale


def _place(q: float, n: int) -> tuple[int, float]:
    """Index and fraction of the ``q`` quantile of ``n`` ranked values, by linear interpolation."""
    position = q * (n - 1)
    return int(position), position - int(position)


PLACES = [tuple(_place(q, n) for q in (_SIGMA_BELOW, 0.5, _SIGMA_ABOVE)) for n in range(CAPACITY + 1)]
