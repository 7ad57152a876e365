"""When a series left the range of the healthy ones for good."""

from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

REACH = 2.0
"""Outside is more than so many times as far from the centre as any healthy value nearby."""
SHARE = 0.75
"""Share of the points of a window that lie outside in a lasting departure."""
MAX_WINDOW = 16


class Side(Enum):
    """On which side of the healthy range a value counts as outside."""

    ABOVE = "above"
    BELOW = "below"
    BOTH = "both"


def departure(
    values: NDArray[np.float64], healthy: NDArray[np.float64], *, side: Side = Side.BOTH, reach: float = REACH
) -> int | None:
    """Where the last stretch outside the healthy range begins, if it lasts to the end of the series.

    The centre is the running median of the healthy series, its width the largest distance of any of them from it
    within a window, so it holds the noise within a series as well as the spread between them, and one healthy series is
    enough. A value is outside beyond ``reach`` widths, or if it is not finite. Nothing is said about a series that came
    back: a departure lasts to the end, with at least `SHARE` of the points of every window outside.

    Args:
        values: ``(n,)``.
        healthy: ``(k, n)``, the same steps; NaN where a series has no value. Steps without any are left out.
        side: Where outside is: a loss below the healthy ones is nothing to worry about.
        reach: Widths that count as outside, positive.

    Returns:
        Index of the first point of the departure; None if there is none.

    >>> healthy = np.array([[1.0, 1.1, 0.9] * 10, [1.1, 0.9, 1.0] * 10])
    >>> series = healthy[0].copy()
    >>> series[20:] += np.arange(10)
    >>> departure(series, healthy), departure(healthy[0], healthy[1:])
    (21, None)
    """
    known = np.flatnonzero(np.isfinite(healthy).any(axis=0))
    if known.size < 3:
        return None
    window = min(MAX_WINDOW, max(3, known.size // 10))
    centre, width = _range_of(healthy[:, known], window)
    own = values[known]
    with np.errstate(invalid="ignore"):
        distance = {Side.ABOVE: own - centre, Side.BELOW: centre - own, Side.BOTH: np.abs(own - centre)}[side]
        outside = ~np.isfinite(own) | (distance > reach * width)
    ahead = np.lib.stride_tricks.sliding_window_view(outside, window).mean(axis=1)
    lasting = np.append(ahead, np.full(window - 1, ahead[-1])) >= SHARE
    if not lasting[-1]:
        return None
    inside = np.flatnonzero(~lasting)
    start = int(inside[-1]) + 1 if inside.size else 0
    return int(known[start + int(np.argmax(outside[start:]))])


def _range_of(healthy: NDArray[np.float64], window: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centre and half width of the healthy range at each step; every column has a finite value."""
    finite = np.where(np.isfinite(healthy), healthy, np.nan)
    middle = _running(np.nanmedian(finite, axis=0), window, np.median)
    farthest = np.nanmax(np.abs(finite - middle), axis=0)
    return middle, _running(farthest, window, np.max)


def _running(values: NDArray[np.float64], window: int, reduce: Callable[..., Any]) -> NDArray[np.float64]:
    """A reduction over the points up to half a window away, the ends repeated."""
    half = window // 2
    views = np.lib.stride_tricks.sliding_window_view(np.pad(values, half, mode="edge"), 2 * half + 1)
    reduced: NDArray[np.float64] = reduce(views, axis=1)
    return reduced
