"""How much of the variance of a result comes from each of several sources of chance."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.intervals import Interval

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Variance:
    """An estimated variance.

    Attributes:
        value: The estimate, in squared units.
        freedom: Its degrees of freedom.
    """

    value: float
    freedom: float

    @property
    def sd(self) -> float:
        """The standard deviation."""
        return math.sqrt(self.value)

    def interval(self, level: float = 0.95) -> Interval:
        """Chi-square interval of the variance: ``freedom * value / chi2``; exact for Gaussian values.

        >>> low, high = Variance(1.0, 4).interval()
        >>> round(math.sqrt(low), 2), round(math.sqrt(high), 2)
        (0.6, 2.87)
        """
        from scipy.special import chdtri

        tail = (1 - level) / 2
        return (
            self.freedom * self.value / float(chdtri(self.freedom, tail)),
            self.freedom * self.value / float(chdtri(self.freedom, 1 - tail)),
        )

    def sd_interval(self, level: float = 0.95) -> Interval:
        """The same for the standard deviation."""
        low, high = self.interval(level)
        return math.sqrt(low), math.sqrt(high)


@dataclass(frozen=True)
class Estimate:
    """A number with its interval."""

    value: float
    low: float
    high: float


def joint_variance(values: Values) -> Variance:
    """Sample variance of the results of runs in which every source differs.

    Args:
        values: Finite, shape ``(n,)``, n >= 2.

    >>> joint_variance(np.array([1.0, 2.0, 3.0]))
    Variance(value=1.0, freedom=2)
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size < 2:
        raise ValueError(f"a variance needs at least 2 values, got {values.size}")
    return Variance(float(values.var(ddof=1)), int(values.size) - 1)


def source_variance(changes: Values) -> Variance:
    """Variance that one source causes, from pairs of runs that differ in this source alone.

    ``mean(change^2) / 2``: the expected variance over the source while all others are held, averaged over the settings
    at which they are held. Each pair has settings of its own, so that the answer does not hang on one of them, as it
    would if the others were held at one setting throughout. In the analysis of sensitivity this is the total effect:
    Jansen 1999, equation 4 (Analysis of variance designs for model output); Saltelli et al. 2010, table 2f. The
    question is that of Bouthillier et al. 2021 (Accounting for variance in machine learning benchmarks), figure 1.

    Args:
        changes: Result of the changed run less result of the other, one per pair, finite, shape ``(n,)``, n >= 1.

    >>> source_variance(np.array([1.0, -1.0, 2.0]))
    Variance(value=1.0, freedom=3)
    """
    changes = np.asarray(changes, dtype=np.float64)
    if changes.size < 1:
        raise ValueError("a source needs at least 1 pair of runs")
    return Variance(float(np.mean(changes**2)) / 2, int(changes.size))


def share_of(part: Variance, others: Mapping[str, Variance], level: float = 0.95) -> Estimate:
    """Share of one source in the sum over all, with an F interval.

    ``part / rest`` over its expectation has an F distribution, with the degrees of freedom of the sum of the others
    after Satterthwaite (1946). NaN if the sum is zero.

    Args:
        part: The source.
        others: All other sources.
        level: Confidence level, in (0, 1).

    >>> found = share_of(Variance(1.0, 10), {"other": Variance(1.0, 10)})
    >>> found.value, round(found.low, 3), round(found.high, 3)  # F(0.975; 10, 10) = 3.717
    (0.5, 0.212, 0.788)
    """
    from scipy.special import fdtri

    rest = sum_of(others)
    if part.value + rest.value == 0:
        return Estimate(math.nan, math.nan, math.nan)
    if rest.value == 0 or part.value == 0:
        certain = 1.0 if rest.value == 0 else 0.0
        return Estimate(certain, certain, certain)
    ratio, tail = part.value / rest.value, (1 - level) / 2
    low = ratio / float(fdtri(part.freedom, rest.freedom, 1 - tail))
    high = ratio / float(fdtri(part.freedom, rest.freedom, tail))
    return Estimate(ratio / (1 + ratio), low / (1 + low), high / (1 + high))


def sum_of(parts: Mapping[str, Variance]) -> Variance:
    """Sum of independent variances, with degrees of freedom after Satterthwaite (1946).

    >>> sum_of({"a": Variance(1.0, 5), "b": Variance(1.0, 5)})
    Variance(value=2.0, freedom=10.0)
    """
    total = sum(part.value for part in parts.values())
    squares = sum(part.value**2 / part.freedom for part in parts.values())
    return Variance(total, total**2 / squares if squares > 0 else math.inf)


def sum_interval(parts: Mapping[str, Variance], level: float = 0.95) -> Interval:
    """Interval of the sum, from those of the parts: the distances to the limits add up in squares.

    MOVER, Zou and Donner 2008; for variances that of Graybill and Wang 1980, which holds its level where
    Satterthwaite's does not, for few pairs.

    >>> low, high = sum_interval({"a": Variance(1.0, 5), "b": Variance(1.0, 5)})
    >>> bool(low < 2.0 < high)
    True
    """
    limits = [part.interval(level) for part in parts.values()]
    values = [part.value for part in parts.values()]
    below = math.hypot(*(value - low for value, (low, _) in zip(values, limits, strict=True)))
    above = math.hypot(*(high - value for value, (_, high) in zip(values, limits, strict=True)))
    return max(0.0, sum(values) - below), sum(values) + above
