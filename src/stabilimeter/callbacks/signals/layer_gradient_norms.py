"""Gradient norm of every parameter tensor."""

from stabilimeter.callbacks.capture.gradients import TensorNorms
from stabilimeter.callbacks.capture.signal import Moment, Reduction, Signal
from stabilimeter.callbacks.capture.step_view import StepView
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec


def layer_gradient_norms(view: StepView) -> TensorNorms | None:
    """2-norm of each gradient before clipping, 0 where there is none: one vector, not a tag per layer.

    Measured at every step, because the global norm is derived from it and an incident can then name its layers. Kept on
    disk at a stride: at every step, a model with 1000 tensors would write 400 MB in 100,000 steps.
    """
    return view.layer_gradient_norms


LAYER_GRADIENT_NORMS = Signal(
    SignalSpec(
        keys.GRAD_LAYER_NORMS, unit="", moment=Moment.GRADIENT, reduction=Reduction.ROOT_SUM_SQUARE, positive=True
    ),
    measure=layer_gradient_norms,
    vector=True,
)
