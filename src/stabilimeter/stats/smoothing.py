"""A noisy series drawn calmly."""

import numpy as np
from numpy.typing import NDArray


def exponential_mean(values: NDArray[np.float64], half_life: float) -> NDArray[np.float64]:
    """Exponentially weighted mean of each value and those before it, without bias towards zero at the beginning.

    ``y[t] = sum_i w^(t-i) x[i] / sum_i w^(t-i)`` over the finite ``x[i]``, ``i <= t``, with ``w = 2^(-1/half_life)``:
    TensorBoard's smoothing (Kingma and Ba 2015, section 3, for the correction), but the weight is given as the number
    of points after which a value counts half.

    Args:
        values: ``(n,)``; non-finite values stay as they are and are passed over by the others.
        half_life: In points, above 0.

    >>> exponential_mean(np.array([1.0, 0.0, np.nan, 0.0]), 1.0).round(3).tolist()
    [1.0, 0.333, nan, 0.091]
    """
    from scipy.signal import lfilter

    if half_life <= 0:
        raise ValueError(f"half_life must be above 0, got {half_life}")
    finite = np.isfinite(values)
    decay = [1.0, -(2.0 ** (-1.0 / half_life))]
    total = lfilter([1.0], decay, np.where(finite, values, 0.0))
    weight = lfilter([1.0], decay, finite.astype(np.float64))
    return np.where(finite, total / np.where(finite, weight, 1.0), values)
