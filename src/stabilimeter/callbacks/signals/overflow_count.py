"""How many steps were lost to overflow lately."""

import numpy as np
from numpy.typing import NDArray

from stabilimeter.callbacks.capture.signal import DerivedSignal, Moment, Reduction
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec

WINDOW = 1000


def overflow_count(overflows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Number of overflows in the last 1,000 steps, fewer at the beginning of a run; none where nothing was measured.

    A healthy scaler tries a higher scale every 2,000 steps and so loses about one step in 2,000.

    >>> overflow_count(np.array([[np.nan, 1.0, 0.0, 1.0], [np.nan, np.nan, np.nan, np.nan]]))
    array([ 2., nan])
    """
    known = np.isfinite(overflows)
    return np.where(known.any(axis=1), np.where(known, overflows, 0.0).sum(axis=1), np.nan)


OVERFLOW_COUNT = DerivedSignal(
    SignalSpec(
        keys.SCALER_OVERFLOW_COUNT, unit="steps", moment=Moment.FLUSH, reduction=Reduction.RANK_ZERO, positive=False
    ),
    sources=(keys.SCALER_OVERFLOW,),
    window=WINDOW,
    derive=overflow_count,
)
