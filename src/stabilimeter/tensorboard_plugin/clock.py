"""Seconds of training at each step of a run, for a time axis."""

import numpy as np
from numpy.typing import NDArray

from stabilimeter.records import keys
from stabilimeter.records.run import Run

_Floats = NDArray[np.float64]


class Clock:
    """Reads the seconds that a run has trained from its ``time/step_s``; validation and pauses are not in them.

    Args:
        run: A run that has a clock, see `has_clock`.
    """

    def __init__(self, run: Run) -> None:
        series = run[keys.TIME_STEP_S]
        first = series.steps[0] - 1 if series.steps.size else 0
        spent = np.where(np.isfinite(series.values), series.values, 0.0) * np.diff(series.steps, prepend=first)
        self._steps, self._seconds = series.steps, np.cumsum(spent)

    def at(self, steps: NDArray[np.int64]) -> _Floats:
        """Seconds at each of ``steps``; between recorded steps in proportion."""
        seconds: _Floats = np.interp(steps, self._steps, self._seconds).round(4)
        return seconds


def has_clock(run: Run) -> bool:
    """Whether the run says how long its steps took."""
    return keys.TIME_STEP_S in run and run[keys.TIME_STEP_S].steps.size > 0
