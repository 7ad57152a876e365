"""Noise of the training loss around its trend."""

import numpy as np
from numpy.typing import NDArray

from stabilimeter.callbacks.signal import DerivedSignal, Moment, Reduction
from stabilimeter.callbacks.trailing_windows import over_finite
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec

WINDOW = 64
_MAD_TO_SD = 1.4826


def loss_noise(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Robust standard deviation of the losses of the last 64 steps around a straight line. From 9 finite losses on.

    The line is Tukey's resistant line: through the medians of the first and of the last third. Neither a steady descent
    nor a few spikes count as noise, unlike in `loss_variance.py`.

    >>> loss_noise(np.array([[9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]]))
    array([0.])
    """
    return over_finite(_around_resistant_line, losses, minimum=9)


def _around_resistant_line(windows: NDArray[np.float64]) -> NDArray[np.float64]:
    n = windows.shape[1]
    third = n // 3
    first, last = np.median(windows[:, :third], axis=1), np.median(windows[:, n - third :], axis=1)
    slope = (last - first) / (n - third)
    residuals = windows - slope[:, None] * np.arange(n)
    residuals -= np.median(residuals, axis=1, keepdims=True)
    return np.asarray(_MAD_TO_SD * np.median(np.abs(residuals), axis=1))


LOSS_NOISE = DerivedSignal(
    SignalSpec(keys.LOSS_NOISE, unit="loss", moment=Moment.FLUSH, reduction=Reduction.RANK_ZERO, positive=True),
    sources=(keys.LOSS,),
    window=WINDOW,
    derive=loss_noise,
)
