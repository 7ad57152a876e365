"""How large a difference between two groups of seeds is, with its interval."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.intervals import Interval, t_interval, t_quantile

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """A difference of means with its confidence interval."""

    value: float
    low: float
    high: float


def welch_difference(first: Values, second: Values, level: float = 0.95) -> Difference:
    """Mean of ``second`` less mean of ``first``, with Welch's interval for unequal spreads.

    ``se^2 = s1^2 / n1 + s2^2 / n2``; degrees of freedom after Welch and Satterthwaite. Welch 1947.

    Args:
        first: Finite, shape ``(n,)``, n >= 2.
        second: Finite, shape ``(m,)``, m >= 2.
        level: Confidence level, in (0, 1).

    Returns:
        The difference; an interval of width zero if neither side has any spread.

    >>> result = welch_difference(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0]))
    >>> result.value, round(result.low, 3), round(result.high, 3)
    (1.0, -1.267, 3.267)
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if min(first.size, second.size) < 2:
        raise ValueError(f"an interval needs at least 2 values on each side, got {first.size} and {second.size}")
    value = float(second.mean() - first.mean())
    parts = np.array([0.0 if np.ptp(side) == 0 else side.var(ddof=1) / side.size for side in (first, second)])
    variance = float(parts.sum())
    if variance == 0:
        return Difference(value, value, value)
    shares = parts / variance  # shares, not variances: their squares cannot underflow
    freedom = 1 / float(np.sum(shares**2 / np.array([first.size - 1, second.size - 1])))
    margin = t_quantile(freedom, (1 + level) / 2) * math.sqrt(variance)
    return Difference(value, value - margin, value + margin)


def paired_difference(differences: Values, level: float = 0.95) -> Difference:
    """Mean difference over pairs, with Student's interval.

    >>> paired_difference(np.array([1.0, 1.0, 1.0]))
    Difference(value=1.0, low=1.0, high=1.0)
    """
    low, high = t_interval(differences, level)
    return Difference(float(np.mean(differences)), low, high)


def chance_of_less(first: Values, second: Values) -> float:
    """Chance that a value of ``second`` is below one of ``first``; a tie counts one half.

    Mann and Whitney's U over n m; 0.5 is no difference. Called probability of improvement by Agarwal et al. 2021.

    >>> chance_of_less(np.array([2.0, 2.0, 3.0, 3.0]), np.array([1.0, 2.0, 2.0, 3.0]))
    0.6875
    """
    ordered = np.sort(np.asarray(first, dtype=np.float64))
    below = np.searchsorted(ordered, second, side="left")
    not_above = np.searchsorted(ordered, second, side="right")
    return 1 - float((below + not_above).sum()) / (2 * ordered.size * len(second))


def mover_difference(first: float, first_limits: Interval, second: float, second_limits: Interval) -> Difference:
    """``second`` less ``first`` with an interval made from the intervals of two independent estimates.

    MOVER: the distances of the estimates to the limits that matter add up in squares, so that skewed intervals give a
    skewed one. Zou and Donner 2008, equation 5; for two shares with Wilson's limits it is Newcombe's (1998) interval.

    >>> result = mover_difference(0.8, (0.7, 0.84), 0.5, (0.46, 0.53))
    >>> round(result.value, 6), round(result.low, 6), round(result.high, 6)
    (-0.3, -0.356569, -0.195597)
    """
    value = second - first
    low = value - math.hypot(second - second_limits[0], first_limits[1] - first)
    high = value + math.hypot(second_limits[1] - second, first - first_limits[0])
    return Difference(value, low, high)
