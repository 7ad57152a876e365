"""When a run went wrong, told afterwards from the future of its loss. Knows nothing of any detector."""

from enum import Enum
from typing import NamedTuple

import numpy as np

SMOOTHING = 21
"""Points of the centred running median; a spike of fewer than half as many does not show in it."""

LASTS = 20
"""So many steps in a row beyond the margin make an onset."""

_PROGRESS, _NOISE = 0.2, 3.0
_FIRST = 5


class Course(Enum):
    """What became of a run."""

    UNSTABLE = "unstable"
    HEALTHY = "healthy"
    UNCLEAR = "unclear"


class Onset(NamedTuple):
    """What became of a run.

    Attributes:
        course: That.
        at: Place in the series from which on it went wrong; -1 if it did not.
        plain_at: Place from which on that was plain: beyond the whole margin.
    """

    course: Course
    at: int = -1
    plain_at: int = -1


def onset(loss: np.ndarray) -> Onset:
    """Where the smoothed loss left its best level so far by far more than noise, and for long.

    The smoothed loss is a centred running median of 21. The margin is 20 % of the progress made so far, at least 3 SD
    of the noise of single values (the SD that the MAD around the smoothed loss of the last 100 values has). A run is
    *unstable* if the smoothed loss is beyond best + margin for 20 steps, or to the end, or is not finite; the onset is
    the first step of that stretch beyond best + half of the margin. It is *healthy* if the smoothed loss never is
    beyond best + half of the margin; everything else is *unclear* and left out.

    Args:
        loss: Training loss at each step, ``(n,)``.
    """
    finite = np.where(np.isfinite(loss), loss, np.inf)
    smoothed = running_median(finite)
    best = np.minimum.accumulate(np.maximum.accumulate(smoothed[:_FIRST])[-1:].repeat(len(loss)))
    best[_FIRST:] = np.minimum.accumulate(smoothed[_FIRST:])
    progress = np.maximum(smoothed[:_FIRST].max() - best, 0.0)
    margin = np.maximum(_PROGRESS * progress, _NOISE * _noise(finite, smoothed))
    beyond = smoothed > best + margin
    for at in np.flatnonzero(beyond):
        if beyond[at : at + LASTS].all():
            low = np.flatnonzero(smoothed[:at] <= best[:at] + margin[:at] / 2)
            return Onset(Course.UNSTABLE, int(low[-1]) + 1 if low.size else 0, int(at))
    return Onset(Course.HEALTHY if (smoothed <= best + margin / 2).all() else Course.UNCLEAR)


def running_median(values: np.ndarray) -> np.ndarray:
    """Median of the 21 values around each one; of fewer at the ends."""
    half = SMOOTHING // 2
    return np.array([np.median(values[max(0, i - half) : i + half + 1]) for i in range(len(values))])


def _noise(values: np.ndarray, smoothed: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        residuals = np.where(np.isfinite(smoothed), np.abs(values - smoothed), np.nan)
    start = 20
    before = [np.nanmedian(residuals[max(0, i - 100) : max(i, start)]) for i in range(len(values))]
    return 1.4826 * np.array(before)
