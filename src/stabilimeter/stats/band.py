"""One series across the seeds of a group: mean, interval, quartiles and extremes at each step."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.alignment import Aligned

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


def band_across_seeds(series: Aligned, level: float = 0.95, max_points: int = MAX_POINTS) -> Band:
    """Mean with t limits, smallest and largest value over the seeds at each step, thinned to ``max_points`` steps.

    Args:
        series: Seeds on one axis; non-finite values count as missing at their step.
        level: Confidence level of the limits, in (0, 1).
        max_points: Largest number of steps of the band; the first and the last step are kept.

    >>> from stabilimeter.stats.alignment import aligned
    >>> steps = np.arange(3)
    >>> band = band_across_seeds(aligned([steps] * 3, [np.array([1.0, 2.0, np.nan]) + shift for shift in (0, 1, 2)]))
    >>> band.n.tolist(), band.mean.tolist(), band.min.tolist(), band.max.tolist()
    ([3, 3, 0], [2.0, 3.0, nan], [1.0, 2.0, nan], [3.0, 4.0, nan])
    """
    return band_of(series.steps, series.values, level, max_points)


def band_of(
    steps: NDArray[np.int64],
    rows: Iterable[NDArray[np.float64]],
    level: float = 0.95,
    max_points: int = MAX_POINTS,
) -> Band:
    """The same as `band_across_seeds`, of seeds that are looked at one after the other.

    Args:
        steps: The common axis, shape ``(num_steps,)``.
        rows: The values of each seed there, shape ``(num_steps,)`` each.
        level: As there.
        max_points: As there.
    """
    kept = _kept(steps.size, max_points)
    smallest, largest = np.full(steps.size, np.inf), np.full(steps.size, -np.inf)
    columns = []
    for row in rows:
        finite = np.isfinite(row)
        np.minimum(smallest, row, out=smallest, where=finite)
        np.maximum(largest, row, out=largest, where=finite)
        columns.append(np.where(finite[kept], row[kept], np.nan))
    if kept.size:
        smallest, largest = np.minimum.reduceat(smallest, kept), np.maximum.reduceat(largest, kept)
    values = np.stack(columns, axis=1).T if columns else np.empty((0, kept.size))  # sums over seeds are pairwise
    finite = np.isfinite(values)
    n = finite.sum(axis=0)
    mean = np.where(finite, values, 0.0).sum(axis=0) / np.where(n > 0, n, np.nan)
    squares = np.where(finite, (values - mean) ** 2, 0.0).sum(axis=0)
    sd = np.sqrt(squares / np.where(n > 1, n - 1, np.nan))
    margin = _t_margin(sd, n, level)
    ordered = np.sort(values, axis=0)  # NaN last
    return Band(
        steps=steps[kept],
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
