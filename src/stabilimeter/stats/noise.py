"""How far a series scatters around its own trend."""

import math

import numpy as np
from numpy.typing import NDArray

MAD_TO_SD = 1.4826
"""Median absolute deviation to standard deviation, for Gaussian noise."""

MIN_POINTS = 50
"""Fewer points than this do not give a noise worth reporting as a score."""


def detrending_window(n: int) -> int:
    """Width of the centred rolling median: a tenth of the series, odd, between 5 and 201.

    >>> [detrending_window(n) for n in (10, 100, 1000, 100_000)]
    [5, 11, 101, 201]
    """
    return min(201, max(5, n // 10 | 1))


def detrended(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is left of the finite values after their centred rolling median is taken away.

    The median follows the trend but not a spike, and unlike differences it keeps autocorrelated noise: the
    interquartile range of differences under-reads an AR(1) noise by ``sqrt(1 - rho)``.

    Args:
        values: One series in order of steps, shape ``(n,)``; non-finite values are left out.

    Returns:
        Residuals, shape ``(n_finite,)``, in the unit of ``values``.
    """
    from scipy.ndimage import median_filter

    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if finite.size == 0:
        return finite
    return np.asarray(finite - median_filter(finite, size=detrending_window(finite.size), mode="reflect"))


def detrended_noise(values: NDArray[np.float64]) -> float:
    """Robust standard deviation of a series around its own trend: ``1.4826 * MAD`` of `detrended`.

    Args:
        values: One series in order of steps, shape ``(n,)``; non-finite values are left out.

    Returns:
        The noise in the unit of ``values``; NaN for fewer than 5 finite values. Below some 100 values the window is so
        narrow that the median follows the noise: 50 values read a quarter too low.

    >>> falling = np.linspace(9.0, 1.0, 200)
    >>> detrended_noise(falling)
    0.0
    >>> round(detrended_noise(falling + np.where(np.arange(200) % 2, 0.1, -0.1)), 3)
    0.119
    """
    return _spread(detrended(values))


def noise_sd(values: NDArray[np.float64], residuals: NDArray[np.float64] | None = None) -> float:
    """Noise for standard errors and thresholds: never too small on a short series.

    The larger of `detrended_noise` and ``1.4826 * median|y[t-1] - 2 y[t] + y[t+1]| / sqrt(6)``. A curve that falls
    smoothly at first leaves no residual around its rolling median there, so that twenty noisy evaluations after it can
    read as free of noise; second differences see them. Autocorrelated noise hides from second differences, not from
    the rolling median.

    Args:
        values: One series in order of steps, shape ``(n,)``; non-finite values are left out.
        residuals: What `detrended` leaves of it, where that is known already.

    Returns:
        The noise in the unit of ``values``; NaN for fewer than 5 finite values.

    >>> round(noise_sd(np.array([5.0, 3.0, 2.0, 1.5, 1.3, 1.2, 1.1, 1.15, 1.05, 1.1])), 3)
    0.091
    """
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if finite.size < 5:
        return math.nan
    second = MAD_TO_SD * float(np.median(np.abs(np.diff(finite, 2)))) / math.sqrt(6)
    return max(_spread(detrended(finite) if residuals is None else residuals), second)


def _spread(residuals: NDArray[np.float64]) -> float:
    if residuals.size < 5:
        return math.nan
    return float(MAD_TO_SD * np.median(np.abs(residuals - np.median(residuals))))
