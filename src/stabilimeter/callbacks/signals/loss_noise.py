"""Noise of the training loss around its trend."""

import numpy as np
from numpy.typing import NDArray

from stabilimeter.callbacks.capture.signal import DerivedSignal, Moment, Reduction
from stabilimeter.callbacks.capture.trailing_windows import over_finite
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec
from stabilimeter.stats.noise import MAD_TO_SD

WINDOW = 64


def loss_noise(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Robust standard deviation of the losses of the last 64 steps around a straight line. From 9 finite losses on.

    The slope of the line is the median over pairs of a value and the one half a window later (Theil 1950, incomplete
    method). Neither a steady descent nor a few spikes count as noise, unlike in `loss_variance.py`.

    >>> loss_noise(np.array([[9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]]))
    array([0.])
    """
    return over_finite(_around_line, losses, minimum=9)


def _around_line(windows: NDArray[np.float64]) -> NDArray[np.float64]:
    n = windows.shape[1]
    half = n // 2
    slope = _median(windows[:, n - half :] - windows[:, :half]) / (n - half)
    residuals = windows - slope[:, None] * np.arange(n)
    return MAD_TO_SD * _median(np.abs(residuals - _median(residuals)[:, None]))


def _median(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of each row; much cheaper than ``np.median`` for short rows without NaN."""
    n = rows.shape[1]
    ranked = np.sort(rows, axis=1)
    return np.asarray((ranked[:, (n - 1) // 2] + ranked[:, n // 2]) / 2)


LOSS_NOISE = DerivedSignal(
    SignalSpec(keys.LOSS_NOISE, unit="loss", moment=Moment.FLUSH, reduction=Reduction.RANK_ZERO, positive=True),
    sources=(keys.LOSS,),
    window=WINDOW,
    derive=loss_noise,
)
