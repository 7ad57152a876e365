"""Median and robust scale of many ranked samples at once."""

from math import inf

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.detection.window import PLACES, middle_and_scale

_PLACES = np.array([[place for place, _ in places] for places in PLACES])
_FRACTIONS = np.array([[fraction for _, fraction in places] for places in PLACES])
_Array = NDArray[np.float64]


def sliding(values: _Array, width: int, apart: int, rows: int, after: int = 0) -> _Array:
    """So many windows, each so far from the next, the last of which ends the series; shape ``(..., rows, width)``.

    Infinity stands before the first value. ``sliding_window_view`` does the same and takes ten times as long to begin.

    Args:
        values: The series, contiguous, shape ``(..., n)``.
        width: Length of a window.
        apart: Distance between two windows.
        rows: Number of windows.
        after: Number of values left out at the end.
    """
    missing = width + apart * (rows - 1) + after - values.shape[-1]
    if missing > 0:
        values = np.concatenate([np.full((*values.shape[:-1], missing), inf), values], axis=-1)
    size = values.itemsize
    first = size * -min(missing, 0)
    strides = (*values.strides[:-1], size * apart, size)
    return np.ndarray((*values.shape[:-1], rows, width), np.float64, values, first, strides)


def middles_and_scales(ranked: _Array, counts: int | NDArray[np.intp], roundings: _Array) -> tuple[_Array, _Array]:
    """`window.middle_and_scale` of each row, to the last bit.

    Args:
        ranked: Ascending rows, filled up with infinity, shape ``(..., n, most)``.
        counts: How many values of a row count, at most ``most``: of all of them, or shape ``(n,)``.
        roundings: What is mere rounding in each row, shape ``(n,)`` or that of the result.

    Returns:
        Medians and scales, each of shape ``(..., n)``.
    """
    if isinstance(counts, int):
        low_end, low = _quantile(ranked, *PLACES[counts][0])
        _, middles = _quantile(ranked, *PLACES[counts][1])
        high_end, high = _quantile(ranked, *PLACES[counts][2])
    else:
        places, rows = _PLACES[counts], np.arange(len(counts))[:, None]
        nearest = ranked[..., rows, places]
        quantiles = nearest + _FRACTIONS[counts] * (ranked[..., rows, places + 1] - nearest)
        low, middles, high = quantiles[..., 0], quantiles[..., 1], quantiles[..., 2]
        low_end, high_end = nearest[..., 0], nearest[..., 2]
    above = high - middles
    scales = 0.5 * (above + np.minimum(middles - low, 2.0 * above))
    flat = (low_end == middles) | (high_end == middles) | (scales <= roundings)
    if flat.any():
        least, sizes = np.broadcast_to(roundings, scales.shape), np.broadcast_to(counts, scales.shape)
        scales[flat] = np.maximum(least[flat], _deviations(ranked[flat], middles[flat], sizes[flat]))
    fewest = counts if isinstance(counts, int) else counts.min()
    if fewest < ranked.shape[-1] and not (known := scales < inf).all():
        # the infinity behind a last value got into a quantile
        least, sizes = np.broadcast_to(roundings, scales.shape), np.broadcast_to(counts, scales.shape)
        for place in map(tuple, np.argwhere(~known).tolist()):
            kept = ranked[place][: sizes[place]].tolist()
            middles[place], scales[place] = middle_and_scale(kept, float(least[place]))
    return middles, scales


def _quantile(ranked: _Array, place: int, fraction: float) -> tuple[_Array, _Array]:
    """The value at a place of each row, and the quantile that lies a fraction of the way to the next."""
    nearest = ranked[..., place]
    return nearest, nearest + fraction * (ranked[..., place + 1] - nearest)


def _deviations(ranked: _Array, middles: _Array, counts: NDArray[np.intp]) -> _Array:
    """Root mean square distance from the middle, shape (rows,), summed one by one as `middle_and_scale` does."""
    with np.errstate(over="ignore", invalid="ignore"):
        apart = np.where(np.arange(ranked.shape[1]) < counts[:, None], ranked - middles[:, None], 0.0)
        totals = np.add.accumulate(apart * apart, axis=1)[:, -1]
    return np.asarray(np.sqrt(totals / counts))
