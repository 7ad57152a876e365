"""How long it takes to reach a target, where some seeds never do."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def first_reaching(steps: NDArray[np.int64], values: NDArray[np.float64], target: float) -> int | None:
    """First step at which a series is at its target or better; None if it never is.

    A later relapse does not undo it. NaN is not a value that reaches anything.

    Args:
        steps: Shape ``(n,)``, increasing.
        values: Oriented so that lower is better, shape ``(n,)``.
        target: Oriented likewise.

    >>> first_reaching(np.array([10, 20, 30]), np.array([3.0, 1.0, 2.0]), 1.5)
    20
    """
    reached = np.flatnonzero(np.asarray(values) <= target)
    return int(steps[reached[0]]) if reached.size else None


def median_time(times: Sequence[int | None]) -> float:
    """Median over seeds, with a seed that never reached the target counted as later than any other.

    Not the mean of those that did: dropping the others would make a recipe look faster the more of its seeds fail.
    Infinite where half of the seeds or more never came there. Scored so by AlgoPerf (Dahl et al. 2023, section 4).

    Args:
        times: Step of each seed; None if never reached; at least one.

    >>> median_time([100, 300, None]), median_time([100, None]), median_time([100, 200])
    (300.0, inf, 150.0)
    """
    if not times:
        raise ValueError("median_time needs at least one seed")
    ordered = sorted(math.inf if time is None else float(time) for time in times)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
