"""What all seeds of a group show at one step and none of them for certain: an odd batch of data that they share."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.noise import MAD_TO_SD

AROUND = 129
"""Positions that a value is compared with, itself in the middle."""

MIN_SEEDS = 3
SEEDS_SHARE = 0.8
COMMON_SDS = 8.0
OWN_SDS = 4.0
RARE_SHARE = 0.002
"""More positions so far apart are no events: then the noise is of that shape."""


class CommonOutlier(NamedTuple):
    """One position at which nearly all seeds are far above where they have just been.

    Attributes:
        position: Index of the step.
        centre: Median around it, of each seed, ``(num_seeds,)``; NaN for a seed without a value there.
        scale: Robust standard deviation around it, of each seed, likewise.
    """

    position: int
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]


def common_outliers(values: NDArray[np.float64]) -> list[CommonOutlier]:
    """Positions at which the seeds together stand out, although each may be within the tail of its own noise.

    Where seeds see the same batches in the same order, batches scatter alike in all of them, and a detector that looks
    at one seed may take the oddest batch for the tail of that noise. A position counts if

    - the median over seeds lies more than 8 robust standard deviations above the 64 positions before it and the 64
      after it (of which there have to be as many), and no more than 0.2 % of all positions do; and
    - at least 80 % of the seeds, three or more, lie more than 4 of their own above theirs. Five seeds of independent
      noise do not by chance in 100,000 steps, even with the tail of Student's t with three degrees of freedom.

    Args:
        values: Oriented so that lower is better, shape ``(num_seeds, num_steps)``, NaN where a seed has no value.

    >>> values = np.sin(np.arange(4000.0) ** 2).reshape(4, 1000)
    >>> values[:, 300] += 20  # all seeds
    >>> values[0, 700] += 20  # one seed
    >>> [found.position for found in common_outliers(values)]
    [300]
    """
    values = np.where(np.isfinite(values), values, np.nan)
    positions = np.flatnonzero(np.isfinite(values).sum(axis=0) >= MIN_SEEDS)
    if positions.size < AROUND:
        return []
    inner = slice(AROUND // 2, positions.size - AROUND // 2)
    distance = _distance(np.nanmedian(values[:, positions], axis=0))
    apart = positions[inner][distance[inner] > COMMON_SDS]
    outliers = [found for position in apart.tolist() if (found := _agreed(values, position)) is not None]
    return outliers if len(outliers) <= max(2.0, RARE_SHARE * positions.size) else []


def _distance(middle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each value from the median of those around it, in robust standard deviations of those."""
    from scipy.ndimage import median_filter

    residuals = middle - median_filter(middle, size=AROUND, mode="nearest")
    scale = MAD_TO_SD * median_filter(np.abs(residuals), size=AROUND, mode="nearest")
    distance: NDArray[np.float64] = np.divide(residuals, scale, out=np.zeros_like(residuals), where=scale > 0)
    return distance


def _agreed(values: NDArray[np.float64], position: int) -> CommonOutlier | None:
    present = np.isfinite(values[:, position])
    around = values[present, max(0, position - AROUND // 2) : position + AROUND // 2 + 1]
    centre, scale = np.full(len(values), np.nan), np.full(len(values), np.nan)
    centre[present] = np.nanmedian(around, axis=1)
    scale[present] = MAD_TO_SD * np.nanmedian(np.abs(around - centre[present, None]), axis=1)
    far = int(np.sum(values[present, position] - centre[present] > OWN_SDS * scale[present]))
    enough = far >= max(MIN_SEEDS, SEEDS_SHARE * int(present.sum()))
    return CommonOutlier(position, centre, scale) if enough else None
