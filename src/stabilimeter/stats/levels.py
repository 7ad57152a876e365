"""Where a series starts, where it ends, and the drop between the two that serves as yardstick."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.noise import detrended, noise_sd

INITIAL_SHARE = 0.01
FINAL_SHARE = 0.05
SIGNIFICANT_SE = 3.0
"""A difference counts from this many of its own standard errors on."""

_MEDIAN_SE = math.sqrt(math.pi / 2)
"""The standard error of a median, in standard errors of a mean (Gaussian noise)."""


@dataclass(frozen=True)
class Level:
    """A value with its standard error (NaN where too few points tell how noisy the series is)."""

    value: float
    se: float

    @property
    def is_positive(self) -> bool:
        """Whether the value is above zero by 3 standard errors."""
        return self.value > SIGNIFICANT_SE * self.se


def oriented(values: NDArray[np.float64], mode: str) -> NDArray[np.float64]:
    """The same values with "lower is better": negated for ``mode="max"``.

    >>> oriented(np.array([0.5, 0.9]), "max")
    array([-0.5, -0.9])
    """
    if mode not in ("min", "max"):
        raise ValueError(f"mode must be 'min' or 'max', got {mode!r}")
    values = np.asarray(values, dtype=np.float64)
    return -values if mode == "max" else values


def autocorrelation_time(values: NDArray[np.float64]) -> float:
    """How many neighbouring points carry the information of one independent point.

    ``(1 + rho) / (1 - rho)`` with rho the lag-1 autocorrelation of the detrended values, clipped at 3 robust standard
    deviations so that one spike does not decide; at least 1. This is the AR(1) value; rho is cut at 0.98.

    >>> autocorrelation_time(np.where(np.arange(400) % 2, 1.0, -1.0))
    1.0
    """
    return _noise_of(values).correlated


class _Noise(NamedTuple):
    """Noise of a series around its trend: its standard deviation, and its `autocorrelation_time`."""

    sd: float
    correlated: float


def _noise_of(values: NDArray[np.float64]) -> _Noise:
    residuals = detrended(values)
    sd = noise_sd(values, residuals)
    if residuals.size < 5 or not sd > 0:
        return _Noise(sd, 1.0)
    clipped = np.clip(residuals, -3 * sd, 3 * sd)
    clipped = clipped - clipped.mean()
    power = float(clipped @ clipped)
    rho = float(clipped[1:] @ clipped[:-1]) / power if power > 0 else 0.0
    rho = min(max(rho, 0.0), 0.98)
    return _Noise(sd, (1 + rho) / (1 - rho))


def level_of(part: NDArray[np.float64], whole: NDArray[np.float64]) -> Level:
    """Median of a part of a series, with its standard error.

    The noise is that of the whole series around its trend; neighbouring points count by `autocorrelation_time`.

    Args:
        part: The values concerned, shape ``(m,)``, m > 0, all finite.
        whole: The series they are from, shape ``(n,)``.

    >>> rng = np.random.default_rng(0)
    >>> noise = rng.normal(size=1000)
    >>> round(level_of(noise[:100], noise).se, 2)
    0.13
    """
    return _level(part, _noise_of(whole))


def _level(part: NDArray[np.float64], noise: _Noise) -> Level:
    independent = max(1.0, part.size / noise.correlated)
    correction = _MEDIAN_SE if part.size > 2 else 1.0  # the median of one or two values is their mean
    return Level(float(np.median(part)), correction * noise.sd / math.sqrt(independent))


def initial_level(values: NDArray[np.float64], *, evaluations: bool = False) -> Level:
    """Median of the first 1 % of the values (at least one), with its standard error.

    Of evaluations the first one alone: it is a mean over a whole data set already, and the second is that of another,
    trained model, so that more of them would make the level depend on how often a run is evaluated.

    Args:
        values: One series in order of steps, shape ``(n,)``; non-finite values are left out.
        evaluations: Whether the values are evaluations rather than a signal of each step.

    Returns:
        The level; NaN with NaN error if nothing is finite.

    >>> initial_level(np.arange(200.0)).value, initial_level(np.arange(200.0), evaluations=True).value
    (0.5, 0.0)
    """
    finite = _finite(values)
    if finite.size == 0:
        return Level(math.nan, math.nan)
    return level_of(_start(finite, evaluations=evaluations), finite)


def final_level(values: NDArray[np.float64]) -> Level:
    """Median of the last 5 % of the values (at least one), with its standard error.

    Args:
        values: One series in order of steps, shape ``(n,)``; non-finite values are left out.

    Returns:
        The level; NaN with NaN error if nothing is finite.

    >>> final_level(np.arange(200.0)).value
    194.5
    """
    finite = _finite(values)
    if finite.size == 0:
        return Level(math.nan, math.nan)
    return level_of(_end(finite), finite)


def _start(finite: NDArray[np.float64], *, evaluations: bool) -> NDArray[np.float64]:
    return finite[: 1 if evaluations else max(1, math.ceil(INITIAL_SHARE * finite.size))]


def _end(finite: NDArray[np.float64]) -> NDArray[np.float64]:
    return finite[-max(1, math.ceil(FINAL_SHARE * finite.size)) :]


def improvement(values: NDArray[np.float64], *, evaluations: bool = False) -> Level:
    """Initial level minus final level of one series (lower is better), with its standard error.

    Args:
        values: One series, oriented so that lower is better, shape ``(n,)``.
        evaluations: As for `initial_level`.

    >>> improvement(np.linspace(10.0, 0.0, 101)).value
    9.7
    """
    finite = _finite(values)
    if finite.size == 0:
        return Level(math.nan, math.nan)
    noise = _noise_of(finite)
    first, last = _level(_start(finite, evaluations=evaluations), noise), _level(_end(finite), noise)
    return Level(first.value - last.value, math.hypot(first.se, last.se))


def lasting_improvement(values: NDArray[np.float64], *, evaluations: bool = False) -> Level:
    """The `improvement`, but not from above the first value: coming down from a blow-up of the first steps is no gain.

    Args:
        values: One series, oriented so that lower is better, shape ``(n,)``.
        evaluations: As for `initial_level`.

    >>> lasting_improvement(np.array([0.7, 900.0, 400.0] + [0.5] * 297)).value
    0.199...
    """
    drop, finite = improvement(values, evaluations=evaluations), _finite(values)
    return Level(min(drop.value, float(finite[0] - np.median(_end(finite)))), drop.se) if finite.size else drop


def yardstick(series: Iterable[NDArray[np.float64]], *, evaluations: bool = False) -> Level:
    """D: the median improvement over seeds, the unit in which everything else is measured.

    A score in units of D does not change under ``y -> a*y + b``. The standard error is that of the measurement (how
    noisy each seed's curve is), not of the sampling of seeds: it tells whether there is a drop to measure against.
    Series too short to show their noise (fewer than 5 points) are judged by how well three or more seeds agree.
    Where the result is not `Level.is_positive`, the scale is undefined and nothing should be divided by it.

    Args:
        series: One array per non-failed seed, oriented so that lower is better; lengths may differ.
        evaluations: As for `initial_level`.

    Returns:
        D and its standard error; NaN for no seeds.

    >>> yardstick([np.linspace(a, 0.0, 101) for a in (8.0, 10.0, 40.0)]).value
    9.7
    """
    drops = [lasting_improvement(values, evaluations=evaluations) for values in series]
    if not drops:
        return Level(math.nan, math.nan)
    values, errors = np.array([drop.value for drop in drops]), np.array([drop.se for drop in drops])
    if np.isnan(errors).any() and values.size > 2:
        errors = np.full(values.size, values.std(ddof=1))
    correction = _MEDIAN_SE if values.size > 2 else 1.0
    return Level(float(np.median(values)), correction * float(np.sqrt(np.sum(errors**2))) / values.size)


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    values = np.asarray(values, dtype=np.float64)
    return values[np.isfinite(values)]
