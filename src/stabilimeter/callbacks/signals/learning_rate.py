"""Learning rate."""

from torch import Tensor

from stabilimeter.callbacks.capture.signal import Moment, Reduction, Signal
from stabilimeter.callbacks.capture.step_view import StepView
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec


def learning_rate(view: StepView) -> Tensor | float | None:
    """Learning rate of the optimizer's first parameter group, as used by the step.

    A scheduler changes a rate that is a tensor in place, before it is brought to the host.
    """
    rate = view.learning_rate
    return rate.clone() if isinstance(rate, Tensor) else rate


LEARNING_RATE = Signal(
    SignalSpec(keys.OPTIM_LR, unit="", moment=Moment.GRADIENT, reduction=Reduction.RANK_ZERO, positive=True),
    measure=learning_rate,
)
