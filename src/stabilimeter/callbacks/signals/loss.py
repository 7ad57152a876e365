"""Training loss."""

from torch import Tensor

from stabilimeter.callbacks.capture.signal import Moment, Reduction, Signal
from stabilimeter.callbacks.capture.step_view import StepView
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec


def loss(view: StepView) -> Tensor | None:
    """What `training_step` returned (or ``manual_backward`` got), averaged over the micro-batches of the step.

    Lightning's division by ``accumulate_grad_batches`` is undone.
    """
    return view.loss


LOSS = Signal(
    SignalSpec(keys.LOSS, unit="", moment=Moment.STEP_END, reduction=Reduction.MEAN, positive=False), measure=loss
)
