"""Wall time of a step."""

from stabilimeter.callbacks.capture.signal import Moment, Reduction, Signal
from stabilimeter.callbacks.capture.step_view import StepView
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec


def step_time(view: StepView) -> float | None:
    """Seconds from the end of one step to the end of the next: data loading included, validation and flush left out."""
    return view.step_s


STEP_TIME = Signal(
    SignalSpec(keys.TIME_STEP_S, unit="s", moment=Moment.STEP_END, reduction=Reduction.RANK_ZERO, positive=True),
    measure=step_time,
)
