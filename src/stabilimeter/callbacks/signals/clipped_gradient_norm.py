"""Global gradient norm after clipping."""

from torch import Tensor

from stabilimeter.callbacks.capture.gradients import TensorNorms
from stabilimeter.callbacks.capture.signal import Moment, Reduction, Signal
from stabilimeter.callbacks.capture.step_view import StepView
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec


def clipped_gradient_norm(view: StepView) -> Tensor | TensorNorms | None:
    """2-norm over the gradients that the optimizer gets. Recorded only where Lightning clips (by norm or by value)."""
    return view.clipped_norm


CLIPPED_GRADIENT_NORM = Signal(
    SignalSpec(
        keys.GRAD_NORM_CLIPPED, unit="", moment=Moment.CLIPPED, reduction=Reduction.ROOT_SUM_SQUARE, positive=True
    ),
    measure=clipped_gradient_norm,
)
