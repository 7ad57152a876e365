"""Global gradient norm before clipping."""

from torch import Tensor

from stabilimeter.callbacks.capture.gradients import TensorNorms
from stabilimeter.callbacks.capture.signal import Moment, Reduction, Signal
from stabilimeter.callbacks.capture.step_view import StepView
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec


def gradient_norm(view: StepView) -> Tensor | TensorNorms | None:
    """2-norm over all gradients of the optimizer: accumulated, unscaled, averaged over ranks, not yet clipped.

    Half-precision gradients are accumulated in float32. A step without any gradient has no norm, rather than one of 0.
    """
    return view.gradient_norm_in_parts


GRADIENT_NORM = Signal(
    SignalSpec(keys.GRAD_NORM, unit="", moment=Moment.GRADIENT, reduction=Reduction.ROOT_SUM_SQUARE, positive=True),
    measure=gradient_norm,
)
