"""What monitoring a step costs."""

from stabilimeter.callbacks.capture.signal import Moment, Reduction, Signal
from stabilimeter.callbacks.capture.step_view import StepView
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec


def monitor_time(view: StepView) -> float:
    """Seconds spent in hooks of the monitor since the step before was over, a flush or validation in between included.

    The hook that ends a step counts for the next one. See `own_cost.py` for what it does not see.
    """
    return view.monitor_s


MONITOR_TIME = Signal(
    SignalSpec(keys.TIME_MONITOR_S, unit="s", moment=Moment.STEP_END, reduction=Reduction.RANK_ZERO, positive=True),
    measure=monitor_time,
)
