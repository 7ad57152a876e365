"""What all seeds of a group show at one step and none of them for certain: an odd batch of data that they share."""

from typing import NamedTuple, Protocol

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

_AT_ONCE = 2**23  # values in memory


class CommonOutlier(NamedTuple):
    """One position at which nearly all seeds are far above where they have just been.

    Attributes:
        position: Index of the step.
        centre: Median around it, of each seed, ``(num_seeds,)``; NaN for a seed without a value there.
        scale: Robust standard deviation around it, of each seed, likewise.
        values: Value of each seed there, likewise.
    """

    position: int
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    values: NDArray[np.float64]


class Seeds(Protocol):
    """Values of several seeds on one axis, of which a part at a time is looked at; see `alignment.OnAxis`."""

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of seeds and steps."""

    def columns(self, start: int, stop: int) -> NDArray[np.float64]:
        """The values at some of the steps, shape ``(num_seeds, stop - start)``."""


def common_outliers(seeds: Seeds) -> list[CommonOutlier]:
    """Positions at which the seeds together stand out, although each may be within the tail of its own noise.

    Where seeds see the same batches in the same order, batches scatter alike in all of them, and a detector that looks
    at one seed may take the oddest batch for the tail of that noise. A position counts if

    - the median over seeds lies more than 8 robust standard deviations above the 64 positions before it and the 64
      after it (of which there have to be as many), and no more than 0.2 % of all positions do; and
    - at least 80 % of the seeds, three or more, lie more than 4 of their own above theirs. Five seeds of independent
      noise do not by chance in 100,000 steps, even with the tail of Student's t with three degrees of freedom.

    Args:
        seeds: Values oriented so that lower is better, NaN where a seed has no value.

    >>> from types import SimpleNamespace
    >>> from stabilimeter.stats.alignment import OnAxis, common_axis
    >>> values = np.sin(np.arange(4000.0) ** 2).reshape(4, 1000)
    >>> values[:, 300] += 20  # all seeds
    >>> values[0, 700] += 20  # one seed
    >>> curves = [SimpleNamespace(steps=np.arange(1000), values=row) for row in values]
    >>> [found.position for found in common_outliers(OnAxis(common_axis(curves), curves))]
    [300]
    """
    positions, middles = _middles(seeds)
    if positions.size < AROUND:
        return []
    inner = slice(AROUND // 2, positions.size - AROUND // 2)
    distance = _distance(middles)
    apart = positions[inner][distance[inner] > COMMON_SDS]
    outliers = [found for position in apart.tolist() if (found := _agreed(seeds, position)) is not None]
    return outliers if len(outliers) <= max(2.0, RARE_SHARE * positions.size) else []


def _distance(middle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each value from the median of those around it, in robust standard deviations of those."""
    from scipy.ndimage import median_filter

    residuals = middle - median_filter(middle, size=AROUND, mode="nearest")
    scale = MAD_TO_SD * median_filter(np.abs(residuals), size=AROUND, mode="nearest")
    distance: NDArray[np.float64] = np.divide(residuals, scale, out=np.zeros_like(residuals), where=scale > 0)
    return distance


def _middles(seeds: Seeds) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Positions at which there are enough seeds, and the median over the seeds at each."""
    num_seeds, num_steps = seeds.shape
    positions, middles = [np.empty(0, dtype=np.int64)], [np.empty(0)]
    width = max(1, _AT_ONCE // max(1, num_seeds))
    for start in range(0, num_steps, width):
        values = _finite(seeds.columns(start, min(start + width, num_steps)))
        enough = np.flatnonzero(np.isfinite(values).sum(axis=0) >= MIN_SEEDS)
        positions.append(start + enough)
        middles.append(np.nanmedian(values[:, enough], axis=0))
    return np.concatenate(positions), np.concatenate(middles)


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(values), values, np.nan)


def _agreed(seeds: Seeds, position: int) -> CommonOutlier | None:
    start = max(0, position - AROUND // 2)
    values = _finite(seeds.columns(start, min(position + AROUND // 2 + 1, seeds.shape[1])))
    own = values[:, position - start]
    present = np.isfinite(own)
    around = values[present]
    centre, scale = np.full(len(values), np.nan), np.full(len(values), np.nan)
    centre[present] = np.nanmedian(around, axis=1)
    scale[present] = MAD_TO_SD * np.nanmedian(np.abs(around - centre[present, None]), axis=1)
    far = int(np.sum(own[present] - centre[present] > OWN_SDS * scale[present]))
    enough = far >= max(MIN_SEEDS, SEEDS_SHARE * int(present.sum()))
    return CommonOutlier(position, centre, scale, own) if enough else None
