"""Confidence intervals that hold their level at three to twenty seeds."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]


def t_quantile(df: float, probability: float) -> float:
    """Quantile of Student's t distribution.

    >>> round(t_quantile(4, 0.975), 4)
    2.7764
    """
    from scipy.special import stdtrit

    return float(stdtrit(df, probability))


def t_interval(values: NDArray[np.float64], level: float = 0.95) -> Interval:
    """Student's t interval for the mean: ``mean +- t(n - 1) * sd / sqrt(n)``.

    Args:
        values: Finite, shape ``(n,)``, n >= 2 (an interval from two values is valid but says next to nothing).
        level: Confidence level, in (0, 1).

    >>> low, high = t_interval(np.array([0.96, 0.97, 0.98]))
    >>> round(low, 4), round(high, 4)
    (0.9452, 0.9948)
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size < 2:
        raise ValueError(f"a t interval needs at least 2 values, got {values.size}")
    margin = t_quantile(values.size - 1, (1 + level) / 2) * float(values.std(ddof=1)) / math.sqrt(values.size)
    mean = float(values.mean())
    return mean - margin, mean + margin


def bootstrap_t_interval(
    values: NDArray[np.float64], *, rng: np.random.Generator, level: float = 0.95, draws: int = 9999
) -> Interval:
    """Studentised bootstrap interval for the mean, for skewed values from about five seeds on.

    The t statistic of resamples takes the place of Student's distribution. Resamples without any spread, which have
    no t statistic, are drawn again in effect: they are left out. Not the percentile bootstrap, whose nominal 95 %
    interval covers 83 % at n = 5. Efron 1981; Hesterberg 2015.

    Args:
        values: Finite, shape ``(n,)``, n >= 3.
        rng: Source of the resamples.
        level: Confidence level, in (0, 1).
        draws: Number of resamples.

    >>> values = np.array([1.0, 2.0, 2.5, 3.0, 9.0])
    >>> low, high = bootstrap_t_interval(values, rng=np.random.default_rng(0))
    >>> bool(values.mean() - low < high - values.mean())  # longer on the side of the long tail
    True
    """
    values = np.asarray(values, dtype=np.float64)
    n = values.size
    if n < 3:
        raise ValueError(f"a bootstrap-t interval needs at least 3 values, got {n}")
    mean, se = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(n)
    if se == 0:
        return mean, mean
    samples = values[rng.integers(0, n, size=(draws, n))]
    spread = samples.std(axis=1, ddof=1)
    usable = spread > 1e-12 * (values.max() - values.min())
    t = (samples.mean(axis=1)[usable] - mean) / (spread[usable] / math.sqrt(n))
    low, high = np.quantile(t, [(1 - level) / 2, (1 + level) / 2])
    return mean - float(high) * se, mean - float(low) * se


def wilson_interval(k: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval for a share: k of n.

    Wilson 1927; ``(p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)``.

    >>> low, high = wilson_interval(0, 5)
    >>> round(low, 3), round(high, 3)
    (0.0, 0.434)
    """
    from scipy.special import ndtri

    if not 0 <= k <= n or n < 1:
        raise ValueError(f"wilson_interval needs 0 <= k <= n and n >= 1, got k={k}, n={n}")
    z2 = float(ndtri((1 + level) / 2)) ** 2
    p = k / n
    centre = p + z2 / (2 * n)
    margin = math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n)))
    scale = 1 + z2 / n
    low = 0.0 if k == 0 else (centre - margin) / scale
    high = 1.0 if k == n else (centre + margin) / scale
    return low, high


def jackknife_t_on_logit(
    share: Callable[[NDArray[np.int64]], float], num_seeds: int, level: float = 0.95
) -> tuple[float, Interval]:
    """A statistic in (0, 1] of a sample of seeds, with its delete-one jackknife-t interval on the logit scale.

    Tukey 1958; Miller 1974. The logit keeps the limits inside (0, 1) and makes the statistic nearly normal.

    Args:
        share: The statistic of the seeds with the given indices, shape ``(m,)``; called with all of them and with all
            but one.
        num_seeds: n, at least 3.
        level: Confidence level, in (0, 1).

    Returns:
        The statistic of all seeds, and its interval.

    >>> values = np.array([0.6, 0.7, 0.8, 0.9])
    >>> point, (low, high) = jackknife_t_on_logit(lambda seeds: float(values[seeds].mean()), 4)
    >>> round(point, 3), round(low, 2), round(high, 2)
    (0.75, 0.5, 0.9)
    """
    if num_seeds < 3:
        raise ValueError(f"a jackknife interval needs at least 3 seeds, got {num_seeds}")
    everyone = np.arange(num_seeds)
    point = share(everyone)
    without_one = np.array([_logit(share(np.delete(everyone, seed))) for seed in everyone])
    se = math.sqrt((num_seeds - 1) / num_seeds * float(np.sum((without_one - without_one.mean()) ** 2)))
    margin = t_quantile(num_seeds - 1, (1 + level) / 2) * se
    return point, (_expit(_logit(point) - margin), _expit(_logit(point) + margin))


def mover_product(first: float, first_limits: Interval, second: float, second_limits: Interval) -> Interval:
    """Interval for the product of two independent positive estimates from their own intervals.

    MOVER, the "method of variance estimates recovery" on the log scale: the distances from each estimate to its limit
    add up in squares. Zou and Donner 2008; Zou, Huang and Zhang 2009.

    Args:
        first: Positive estimate, between its limits.
        first_limits: Its interval; a lower limit of 0 gives a lower limit of 0.
        second: Positive estimate, between its limits.
        second_limits: Its interval.

    >>> low, high = mover_product(0.8, (0.4, 1.0), 0.5, (0.5, 0.5))
    >>> round(low, 6), round(high, 6)
    (0.2, 0.5)
    """
    if not (first > 0 and second > 0):
        raise ValueError(f"mover_product needs positive estimates, got {first} and {second}")
    if first_limits[0] <= 0 or second_limits[0] <= 0:
        low = 0.0
    else:
        below = math.hypot(math.log(first / first_limits[0]), math.log(second / second_limits[0]))
        low = first * second * math.exp(-below)
    above = math.hypot(math.log(first_limits[1] / first), math.log(second_limits[1] / second))
    return low, first * second * math.exp(above)


_EDGE = 1e-12


def _logit(share: float) -> float:
    share = min(max(share, _EDGE), 1 - _EDGE)
    return math.log(share / (1 - share))


def _expit(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
