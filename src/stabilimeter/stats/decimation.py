"""Long series with few points that lose no spike and no gap."""

import numpy as np
from numpy.typing import NDArray


def extremes(values: NDArray[np.float64], max_points: int) -> NDArray[np.intp]:
    """Indices of the first and last value, and the smallest, largest and first non-finite one of each stretch.

    Points are chosen, never moved or averaged: a spike of one step among a million stays at its step with its value,
    and a gap stays a gap. Known as min-max downsampling; it draws what the whole series would draw at that width.

    Args:
        values: ``(n,)``; non-finite ones are gaps.
        max_points: About how many points may be kept; where there are gaps, up to half as many more.

    Returns:
        Increasing indices into ``values``; all of them if ``n`` is at most ``max_points``.

    >>> extremes(np.array([0.0, 5.0, 1.0, 1.0, 1.0, 1.0, -9.0, 1.0]), 4).tolist()
    [0, 1, 4, 6, 7]
    """
    n = values.size
    if n <= max_points:
        return np.arange(n)
    width = -(-n // max(1, max_points // 2))
    padding = -n % width
    padded = np.append(values, np.full(padding, np.nan)).reshape(-1, width)
    finite = np.isfinite(padded)
    is_broken = ~finite
    is_broken.reshape(-1)[n:] = False
    starts = np.arange(padded.shape[0]) * width
    some, broken = finite.any(axis=1), is_broken.any(axis=1)
    smallest = starts + np.where(finite, padded, np.inf).argmin(axis=1)
    largest = starts + np.where(finite, padded, -np.inf).argmax(axis=1)
    first_broken = starts + is_broken.argmax(axis=1)
    return np.unique(np.concatenate([[0, n - 1], smallest[some], largest[some], first_broken[broken]]))
