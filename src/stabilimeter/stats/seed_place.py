"""Where one seed lies among its siblings at one step, and what became of those that were there before it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.intervals import Interval, wilson_interval
from stabilimeter.stats.noise import MAD_TO_SD

MIN_SIBLINGS = 3
MIN_SIBLINGS_FOR_MAD = 4
"""Fewer siblings with a value do not tell how far seeds scatter. The MAD of three is the distance of two of them."""

MIN_NEIGHBOURS = 5
NEIGHBOUR_SHARE = 1 / 3


@dataclass(frozen=True)
class Place:
    """One seed among its siblings, by the level of one series at one step.

    Attributes:
        n: Siblings with a finite level there.
        low: Their smallest level.
        median: Their median level.
        high: Their largest level.
        rank: 1 for the best of all, siblings whose level is not finite last; None if nobody knows which direction is
            better.
        z: Distance from the median of the siblings in robust standard deviations (MAD); None below four siblings, or
            if the MAD is 0.
    """

    n: int
    low: float
    median: float
    high: float
    rank: int | None
    z: float | None


@dataclass(frozen=True)
class ChanceOfFailing:
    """Of the finished siblings that were most like this seed at this step, how many failed in the end.

    Attributes:
        k: Failed.
        n: Siblings.
        interval: Wilson's, 95 %.
    """

    k: int
    n: int
    interval: Interval

    @property
    def share(self) -> float:
        """The estimate: k of n."""
        return self.k / self.n


def level_at(steps: NDArray[np.int64], values: NDArray[np.float64], step: int, window: int) -> float | None:
    """Level of a series at a step: median of what was logged in the ``window`` steps up to it.

    Args:
        steps: Shape ``(n,)``, increasing.
        values: Shape ``(n,)``.
        step: Where.
        window: How many steps count, 1 or more.

    Returns:
        The level; NaN if the last of these values is not finite; None if the series has not come so far, or logged
        nothing in these steps.

    >>> level_at(np.array([0, 10, 20]), np.array([5.0, 3.0, 1.0]), step=15, window=10)
    3.0
    >>> level_at(np.array([0, 10, 20]), np.array([5.0, 3.0, 1.0]), step=21, window=50) is None
    True
    """
    if steps.size == 0 or steps[-1] < step:
        return None
    first, last = np.searchsorted(steps, [step - window, step], side="right")
    part = values[first:last]
    if part.size == 0:
        return None
    return float(np.median(part[np.isfinite(part)])) if np.isfinite(part[-1]) else math.nan


def place_among(own: float, siblings: Sequence[float], mode: str | None) -> Place | None:
    """Where a level lies among those of the siblings; None if no sibling has a finite one.

    Args:
        own: Level of this seed; may be NaN.
        siblings: Level of each sibling; may hold NaN.
        mode: ``"min"`` or ``"max"``: which direction is better; None if nobody knows.

    >>> place_among(9.0, [1.0, 2.0, 3.0, 4.0, 5.0], "min")
    Place(n=5, low=1.0, median=3.0, high=5.0, rank=6, z=4.046...)
    """
    levels = np.array([level for level in siblings if math.isfinite(level)], dtype=np.float64)
    if levels.size == 0:
        return None
    median = float(np.median(levels))
    scale = MAD_TO_SD * float(np.median(np.abs(levels - median)))
    told = levels.size >= MIN_SIBLINGS_FOR_MAD and scale > 0 and math.isfinite(own)
    better = levels < own if mode == "min" else levels > own
    n_better = int(better.sum()) if math.isfinite(own) else levels.size
    return Place(
        n=int(levels.size),
        low=float(levels.min()),
        median=median,
        high=float(levels.max()),
        rank=None if mode is None else 1 + n_better,
        z=(own - median) / scale if told else None,
    )


def outlier_p(own: float, siblings: Sequence[float]) -> float | None:
    """Chance that one more seed like its siblings lies as far from their mean as this one, two-sided.

    ``t = (own - mean) / (sd * sqrt(1 + 1 / n))``, Student's t with n - 1 degrees of freedom: the prediction interval of
    one more value, exact for Gaussian seeds. A robust scale would need 20 to 30 standard deviations to be as sure with
    four siblings, where this needs 13. Siblings known to have failed are not to be among them.

    A standard deviation below the smallest gap between two different levels is taken to be that gap: four accuracies
    that agree to the last example do not make a fifth an outlier that has one example wrong.

    Args:
        own: Level of this seed, finite.
        siblings: Finite level of each sibling.

    Returns:
        p; None below three siblings.

    >>> round(outlier_p(3.0, [0.0, 1.0, -1.0, 0.5, -0.5]), 4)
    0.0257
    """
    levels = np.asarray(siblings, dtype=np.float64)
    if levels.size < MIN_SIBLINGS:
        return None
    from scipy.special import stdtr

    gaps = np.diff(np.unique([*levels, own]))
    sd = max(float(levels.std(ddof=1)), float(gaps.min()) if gaps.size else 0.0)
    if sd == 0:
        return 1.0
    t = abs(own - float(levels.mean())) / (sd * math.sqrt(1 + 1 / levels.size))
    return float(2 * stdtr(levels.size - 1, -t))


def chance_of_failing(own: float, levels: Sequence[float], failed: Sequence[bool]) -> ChanceOfFailing | None:
    """How many of the finished siblings that were most like this seed at this step failed in the end.

    Most like it are a third of them, but five at least (all, if there are no more), by the distance of their levels;
    ties at the edge all count. A seed whose level is not finite is like those whose level was not.

    Args:
        own: Level of this seed at the step.
        levels: Level of each finished sibling that was still training at the step.
        failed: Whether it failed in the end.

    Returns:
        The share with its interval; None if no sibling was like it.

    >>> chance_of_failing(1.1, [1.0, 1.2, 1.1, 1.0, 5.0, 6.0, 7.0], [False] * 4 + [True] * 3)
    ChanceOfFailing(k=1, n=5, interval=(0.036..., 0.624...))
    """
    all_levels, fates = np.asarray(levels, dtype=np.float64), np.asarray(failed, dtype=bool)
    alike = np.isfinite(all_levels) == math.isfinite(own)
    all_levels, fates = all_levels[alike], fates[alike]
    if all_levels.size == 0:
        return None
    if math.isfinite(own):
        distance = np.abs(all_levels - own)
        size = min(distance.size, max(MIN_NEIGHBOURS, math.ceil(NEIGHBOUR_SHARE * distance.size)))
        fates = fates[distance <= np.sort(distance)[size - 1]]
    k, n = int(fates.sum()), int(fates.size)
    return ChanceOfFailing(k, n, wilson_interval(k, n))
