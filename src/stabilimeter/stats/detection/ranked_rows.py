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
    fine = (nearest[..., 0] != middles) & (nearest[..., 2] != middles) & (scales > roundings) & (scales < inf)
    if not fine.all():
        for *track, row in np.argwhere(~fine).tolist():
            place = (*track, row)
            kept = ranked[place][: counts[row]].tolist()
            middles[place], scales[place] = middle_and_scale(kept, float(roundings[row]))
    return middles, scales
