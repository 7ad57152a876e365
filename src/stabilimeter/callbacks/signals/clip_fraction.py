"""How often clipping bites."""

import numpy as np
from numpy.typing import NDArray

from stabilimeter.callbacks.capture.signal import DerivedSignal, Moment, Reduction
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec

WINDOW = 64


def clip_fraction(norms: NDArray[np.float64], clipped_norms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the last 64 steps on which clipping made the gradient shorter, of those where both norms are finite.

    >>> clip_fraction(np.array([[0.5, 3.0, 2.0, np.nan]]), np.array([[0.5, 1.0, 1.0, np.nan]])).round(2)
    array([0.67])
    """
    known = np.isfinite(norms) & np.isfinite(clipped_norms)
    if not known.any():
        return np.full(len(norms), np.nan)
    bitten = known & (clipped_norms < norms)
    count = known.sum(axis=1)
    return np.where(count > 0, bitten.sum(axis=1) / np.maximum(count, 1), np.nan)


CLIP_FRACTION = DerivedSignal(
    SignalSpec(keys.GRAD_CLIP_FRACTION, unit="", moment=Moment.FLUSH, reduction=Reduction.RANK_ZERO, positive=False),
    sources=(keys.GRAD_NORM, keys.GRAD_NORM_CLIPPED),
    window=WINDOW,
    derive=clip_fraction,
)
