"""Describing one number per seed."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.intervals import t_interval


@dataclass(frozen=True)
class SeedStatistics:
    """One number per seed, described; None where n is too small to say."""

    n: int
    mean: float | None
    sd: float | None
    iqm: float | None
    median: float | None
    iqr: float | None
    min: float | None
    max: float | None
    ci: tuple[float, float] | None


def interquartile_mean(values: NDArray[np.float64]) -> float:
    """Mean of the middle half: a quarter of the values, rounded down, is cut at each end.

    Equals ``scipy.stats.trim_mean(values, 0.25)``; below 4 values it is the mean. It hides a dead seed (1 of 5, 2 of
    10), so it never stands alone. Agarwal et al. 2021 (rliable).

    >>> interquartile_mean(np.array([0.80, 0.82, 0.79, 0.85, 0.30]))
    0.80333...
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    cut = int(0.25 * ordered.size)
    return float(ordered[cut : ordered.size - cut].mean())


def c4(n: int) -> float:
    """Expected sample standard deviation of n Gaussian values, in units of the true one.

    ``sqrt(2 / (n - 1)) * Gamma(n / 2) / Gamma((n - 1) / 2)``.

    >>> [round(c4(n), 3) for n in (2, 3, 5)]
    [0.798, 0.886, 0.94]
    """
    if n < 2:
        raise ValueError(f"c4 needs n >= 2, got {n}")
    return math.sqrt(2 / (n - 1)) * math.exp(math.lgamma(n / 2) - math.lgamma((n - 1) / 2))


def unbiased_sd(values: NDArray[np.float64]) -> float:
    """Sample standard deviation divided by `c4`: not too small on average at small n.

    Not an interquartile range or MAD: with few seeds those are biased low and vary more.

    >>> round(unbiased_sd(np.array([1.0, 2.0, 3.0])), 4)
    1.1284
    """
    values = np.asarray(values, dtype=np.float64)
    return float(values.std(ddof=1)) / c4(values.size)


def seed_statistics(values: NDArray[np.float64], level: float = 0.95) -> SeedStatistics:
    """Statistics of one finite number per seed, with the t interval of the mean.

    Where all seeds have the same value, as accuracies on few examples may, the interval is that value: it has no width,
    and says nothing about seeds that were not trained.

    Args:
        values: Shape ``(num_seeds,)``, all finite.
        level: Confidence level of the interval, in (0, 1).

    Raises:
        ValueError: if a value is not finite (say how many are missing instead of leaving them out here).

    >>> seed_statistics(np.array([1.0, 2.0, 3.0, 6.0])).iqm
    2.5
    """
    values = np.asarray(values, dtype=np.float64)
    if not np.all(np.isfinite(values)):
        raise ValueError(f"seed_statistics needs finite values, got {values.tolist()}")
    n = int(values.size)
    if n == 0:
        return SeedStatistics(0, None, None, None, None, None, None, None, None)
    if n > 1 and values.min() == values.max():  # exactly: the mean of equal numbers may be off in the last digit
        value = float(values[0])
        return SeedStatistics(n, value, 0.0, value, value, 0.0, value, value, (value, value) if n >= 3 else None)
    low, high = np.percentile(values, [25, 75])
    return SeedStatistics(
        n=n,
        mean=float(values.mean()),
        sd=float(values.std(ddof=1)) if n >= 2 else None,
        iqm=interquartile_mean(values),
        median=float(np.median(values)),
        iqr=float(high - low) if n >= 2 else None,
        min=float(values.min()),
        max=float(values.max()),
        ci=t_interval(values, level) if n >= 3 else None,
    )
