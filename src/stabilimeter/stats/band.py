"""One series across the seeds of a group: mean, interval, quartiles and extremes at each step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

MAX_POINTS = 1000
MIN_SEEDS_FOR_INTERVAL = 3


@dataclass(frozen=True)
class Band:
    """One series across the seeds of a group; arrays of one length.

    Attributes:
        steps: int64, at most 1,000 of them.
        n: Seeds with a finite value at the step.
        mean: Mean over those seeds.
        low: Lower 95 % t limit of the mean; NaN where n < 3.
        high: Upper 95 % t limit of the mean; NaN where n < 3.
        min: Smallest value over the seeds; in a band with fewer points than steps, also over the steps that the point
            stands for, so that no spike gets lost.
        max: Largest value, likewise.
        sd: Standard deviation over the seeds; NaN where n < 2.
        median: Median over the seeds.
        q25: Lower quartile over the seeds, by linear interpolation (type 7 of Hyndman and Fan 1996).
        q75: Upper quartile, likewise.
    """

    steps: NDArray[np.int64]
    n: NDArray[np.int64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    min: NDArray[np.float64]
    max: NDArray[np.float64]
    sd: NDArray[np.float64]
    median: NDArray[np.float64]
    q25: NDArray[np.float64]
    q75: NDArray[np.float64]


@dataclass(frozen=True)
class Aligned:
    """Several series on one axis.

    Attributes:
        steps: Shape ``(num_steps,)``.
        values: Shape ``(num_seeds, num_steps)``; NaN where a seed has no value.
        exact: Whether all values belong to the very step; otherwise to the nearest one that the seed logged.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    exact: bool


def aligned(steps: Sequence[NDArray[np.int64]], values: Sequence[NDArray[np.float64]]) -> Aligned:
    """The series of several seeds on the steps they have in common.

    A step belongs to the common axis if every seed whose record spans it has logged it; where a short seed has ended,
    the others go on. If most steps are not common (evaluations timed by a clock fall on other steps in every seed),
    the axis is that of the seed with the most points, and every other seed contributes the value nearest to a step,
    at most half its own usual distance away. Nothing is interpolated.

    Args:
        steps: Steps of each seed, increasing, shape ``(n_i,)`` each.
        values: Values at these steps.

    >>> both = aligned([np.array([0, 10, 20]), np.array([0, 10])], [np.array([3.0, 2.0, 1.0]), np.array([5.0, 4.0])])
    >>> both.steps.tolist(), both.values.tolist(), both.exact
    ([0, 10, 20], [[3.0, 2.0, 1.0], [5.0, 4.0, nan]], True)
    """
    if steps and all(np.array_equal(own, steps[0]) for own in steps):
        return Aligned(steps[0].astype(np.int64), np.stack([np.asarray(its, dtype=np.float64) for its in values]), True)
    union = np.unique(np.concatenate(steps)) if steps else np.empty(0, dtype=np.int64)
    logged = np.stack([np.isin(union, own) for own in steps]) if steps else np.empty((0, 0), dtype=bool)
    spans = [(union >= own[0]) & (union <= own[-1]) if own.size else np.zeros(union.size, bool) for own in steps]
    spanned = np.stack(spans) if steps else logged
    common = np.all(logged | ~spanned, axis=0)
    several = spanned.sum(axis=0) >= 2
    exact = not several.any() or bool(common[several].mean() >= 0.5)
    if exact:
        axis = union[common]
        columns = [_at(axis, own, its, tolerance=0) for own, its in zip(steps, values, strict=True)]
    else:
        axis = max(steps, key=len)
        columns = [_at(axis, own, its, _half_interval(own)) for own, its in zip(steps, values, strict=True)]
    stacked = np.stack(columns) if columns else np.empty((0, 0))
    return Aligned(axis.astype(np.int64), stacked, exact)


def band_across_seeds(series: Aligned, level: float = 0.95, max_points: int = MAX_POINTS) -> Band:
    """Mean with t limits, smallest and largest value over the seeds at each step, thinned to ``max_points`` steps.

    Args:
        series: Seeds on one axis; non-finite values count as missing at their step.
        level: Confidence level of the limits, in (0, 1).
        max_points: Largest number of steps of the band; the first and the last step are kept.

    >>> steps = np.arange(3)
    >>> band = band_across_seeds(aligned([steps] * 3, [np.array([1.0, 2.0, np.nan]) + shift for shift in (0, 1, 2)]))
    >>> band.n.tolist(), band.mean.tolist(), band.min.tolist(), band.max.tolist()
    ([3, 3, 0], [2.0, 3.0, nan], [1.0, 2.0, nan], [3.0, 4.0, nan])
    """
    finite = np.isfinite(series.values)
    smallest = np.where(finite, series.values, np.inf).min(axis=0, initial=np.inf)
    largest = np.where(finite, series.values, -np.inf).max(axis=0, initial=-np.inf)
    kept = _kept(series.steps.size, max_points)
    if kept.size:
        smallest, largest = np.minimum.reduceat(smallest, kept), np.maximum.reduceat(largest, kept)
    finite = finite[:, kept]
    values = np.where(finite, series.values[:, kept], np.nan)
    n = finite.sum(axis=0)
    mean = np.where(finite, values, 0.0).sum(axis=0) / np.where(n > 0, n, np.nan)
    squares = np.where(finite, (values - mean) ** 2, 0.0).sum(axis=0)
    sd = np.sqrt(squares / np.where(n > 1, n - 1, np.nan))
    margin = _t_margin(sd, n, level)
    ordered = np.sort(values, axis=0)  # NaN last
    return Band(
        steps=series.steps[kept],
        n=n.astype(np.int64),
        mean=mean,
        low=mean - margin,
        high=mean + margin,
        min=np.where(np.isfinite(smallest), smallest, np.nan),
        max=np.where(np.isfinite(largest), largest, np.nan),
        sd=sd,
        median=_quantile(ordered, n, 0.5),
        q25=_quantile(ordered, n, 0.25),
        q75=_quantile(ordered, n, 0.75),
    )


def thinned(band: Band, max_points: int) -> Band:
    """A band in at most ``max_points`` steps; smallest and largest values are those of the stretches: none is lost."""
    kept = _kept(band.steps.size, max_points)
    if kept.size == band.steps.size:
        return band
    at_steps = {item.name: getattr(band, item.name)[kept] for item in fields(band)}
    stretches = {"min": np.fmin.reduceat(band.min, kept), "max": np.fmax.reduceat(band.max, kept)}
    return Band(**{**at_steps, **stretches})


def _kept(n: int, max_points: int) -> NDArray[np.int64]:
    """Indices of at most so many steps at equal distances, the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(max_points, n)).round().astype(np.int64))


def _t_margin(sd: NDArray[np.float64], n: NDArray[np.int64], level: float) -> NDArray[np.float64]:
    from scipy.special import stdtrit

    margin = np.full(n.size, np.nan)
    enough = n >= MIN_SEEDS_FOR_INTERVAL
    margin[enough] = stdtrit(n[enough] - 1, (1 + level) / 2) * sd[enough] / np.sqrt(n[enough])
    return margin


def _quantile(ordered: NDArray[np.float64], n: NDArray[np.int64], level: float) -> NDArray[np.float64]:
    """Quantile of the first ``n`` values of each column, NaN where there are none."""
    if not ordered.size:
        return np.full(n.size, np.nan)
    place = level * np.maximum(n - 1, 0)
    below = np.floor(place).astype(np.intp)
    above = np.minimum(below + 1, np.maximum(n - 1, 0))
    columns = np.arange(n.size)
    low, high = ordered[below, columns], ordered[above, columns]
    quantile: NDArray[np.float64] = low + (place - below) * (high - low)
    return quantile


def _half_interval(steps: NDArray[np.int64]) -> float:
    return float(np.median(np.diff(steps))) / 2 if steps.size > 1 else 0.0


def _at(
    axis: NDArray[np.int64], steps: NDArray[np.int64], values: NDArray[np.float64], tolerance: float
) -> NDArray[np.float64]:
    """Value at the step nearest to each step of the axis, NaN where none is within the tolerance."""
    if steps.size == 0:
        return np.full(axis.size, math.nan)
    right = np.clip(np.searchsorted(steps, axis), 0, steps.size - 1)
    left = np.clip(right - 1, 0, steps.size - 1)
    nearest = np.where(np.abs(steps[left] - axis) <= np.abs(steps[right] - axis), left, right)
    return np.where(np.abs(steps[nearest] - axis) <= tolerance, values[nearest], np.nan)
