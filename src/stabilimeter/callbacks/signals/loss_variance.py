"""Rolling variance of the training loss."""

import numpy as np
from numpy.typing import NDArray

from stabilimeter.callbacks.capture.signal import DerivedSignal, Moment, Reduction
from stabilimeter.callbacks.capture.trailing_windows import over_finite
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec

WINDOW = 64


def loss_variance(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unbiased variance of the losses of the last 64 steps; trend and spikes included. From 2 finite losses on.

    >>> loss_variance(np.array([[np.nan, 1.0, 2.0, 3.0]]))
    array([1.])
    """
    return over_finite(lambda windows: windows.var(axis=1, ddof=1), losses, minimum=2)


LOSS_VARIANCE = DerivedSignal(
    SignalSpec(keys.LOSS_VAR, unit="loss^2", moment=Moment.FLUSH, reduction=Reduction.RANK_ZERO, positive=True),
    sources=(keys.LOSS,),
    window=WINDOW,
    derive=loss_variance,
)
