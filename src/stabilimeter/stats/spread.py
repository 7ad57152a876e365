"""Comparing the spread of two groups of seeds."""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def brown_forsythe(first: Values, second: Values) -> float:
    """Test of equal spread by Brown and Forsythe: analysis of variance of the distances from each median.

    Holds its level for skewed and heavy tails (the F test of variances reaches 0.16), at the price of little power for
    few seeds: to see one standard deviation twice the other, 0 at three per side, 0.11 at five, 0.46 at ten (one-sided
    0.05). Brown and Forsythe 1974.

    Args:
        first: Finite, shape ``(n,)``, n >= 3.
        second: Finite, shape ``(m,)``, m >= 3.

    Returns:
        p; 1 if no value differs from its median.

    >>> round(brown_forsythe(np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 4.0, 8.0, 20.0])), 3)
    0.129
    """
    from scipy.special import fdtrc

    if min(len(first), len(second)) < 3:
        raise ValueError(f"brown_forsythe needs at least 3 values on each side, got {len(first)} and {len(second)}")
    distances = [np.abs(side - np.median(side)) for side in (np.asarray(first), np.asarray(second))]
    pool = np.concatenate(distances)
    between = sum(side.size * (side.mean() - pool.mean()) ** 2 for side in distances)
    within = sum(float(np.sum((side - side.mean()) ** 2)) for side in distances)
    if within == 0:
        return 1.0 if between == 0 else 0.0
    freedom = pool.size - 2
    return float(fdtrc(1, freedom, between / (within / freedom)))
