"""The last few values up to each step, and statistics of them that cope with gaps."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray


def trailing_windows(values: NDArray[np.float64], num_steps: int, width: int) -> NDArray[np.float64]:
    """For each of the last ``num_steps`` values, the ``width`` values that end there, shape (num_steps, width).

    Values from before the beginning are NaN.

    >>> trailing_windows(np.array([1.0, 2.0, 3.0]), 2, 3)
    array([[nan,  1.,  2.], [ 1.,  2.,  3.]])
    """
    needed = num_steps + width - 1
    if len(values) < needed:
        values = np.concatenate([np.full(needed - len(values), np.nan), values])
    return np.lib.stride_tricks.sliding_window_view(values[len(values) - needed :], width)


def over_finite(
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]], windows: NDArray[np.float64], minimum: int
) -> NDArray[np.float64]:
    """``statistic`` of the finite values of each window, shape (num_steps,); NaN where there are too few.

    Args:
        statistic: Maps (num_steps, n) to (num_steps,), for any n.
        windows: Shape (num_steps, width); non-finite values are incidents of their own and left out here.
        minimum: Smallest number of values that says anything.
    """
    finite = np.isfinite(windows)
    complete = finite.all(axis=1)
    result = np.full(len(windows), np.nan)
    if complete.all():
        return statistic(windows)
    if complete.any():
        result[complete] = statistic(windows[complete])
    for i in np.flatnonzero(~complete & (finite.sum(axis=1) >= minimum)):
        result[i] = statistic(windows[i][finite[i]][None, :])[0]
    return result
