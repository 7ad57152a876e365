"""Median and robust scale of many ranked samples at once."""

from math import inf

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.detection.window import PLACES, middle_and_scale

_PLACES = np.array([[place for place, _ in places] for places in PLACES])
_FRACTIONS = np.array([[fraction for _, fraction in places] for places in PLACES])
_Array = NDArray[np.float64]


def middles_and_scales(ranked: _Array, counts: NDArray[np.intp], roundings: _Array) -> tuple[_Array, _Array]:
    """`window.middle_and_scale` of each row, to the last bit.

    Args:
        ranked: Ascending rows, filled up with infinity, shape ``(..., n, most)``.
        counts: How many values of a row count, at most ``most``, shape ``(n,)``.
        roundings: What is mere rounding in each row, shape ``(n,)`` or that of the result.

    Returns:
        Medians and scales, each of shape ``(..., n)``.
    """
    places, rows = _PLACES[counts], np.arange(len(counts))[:, None]
    nearest = ranked[..., rows, places]
    quantiles = nearest + _FRACTIONS[counts] * (ranked[..., rows, places + 1] - nearest)
    low, middles, high = quantiles[..., 0], quantiles[..., 1], quantiles[..., 2]
    above = high - middles
    scales = 0.5 * (above + np.minimum(middles - low, 2.0 * above))
    least, sizes = np.broadcast_to(roundings, scales.shape), np.broadcast_to(counts, scales.shape)
    flat = (nearest[..., 0] == middles) | (nearest[..., 2] == middles) | (scales <= least)
    if flat.any():
        scales[flat] = np.maximum(least[flat], _deviations(ranked[flat], middles[flat], sizes[flat]))
    known = scales < inf
    if not known.all():  # the infinity behind a last value got into a quantile
        for place in map(tuple, np.argwhere(~known).tolist()):
            kept = ranked[place][: sizes[place]].tolist()
            middles[place], scales[place] = middle_and_scale(kept, float(least[place]))
    return middles, scales


def _deviations(ranked: _Array, middles: _Array, counts: NDArray[np.intp]) -> _Array:
    """Root mean square distance from the middle, shape (rows,), summed one by one as `middle_and_scale` does."""
    with np.errstate(over="ignore", invalid="ignore"):
        apart = np.where(np.arange(ranked.shape[1]) < counts[:, None], ranked - middles[:, None], 0.0)
        totals = np.add.accumulate(apart * apart, axis=1)[:, -1]
    return np.asarray(np.sqrt(totals / counts))
