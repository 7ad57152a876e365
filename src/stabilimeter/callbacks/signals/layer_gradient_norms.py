"""Gradient norm of every parameter tensor."""

from torch import Tensor

from stabilimeter.callbacks.signal import Moment, Reduction, Signal
from stabilimeter.callbacks.step_view import StepView
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec


def layer_gradient_norms(view: StepView) -> Tensor | None:
    """2-norm of each gradient before clipping, 0 where there is none: one vector at a stride, not a tag per layer."""
    return view.layer_gradient_norms


LAYER_GRADIENT_NORMS = Signal(
    SignalSpec(
        keys.GRAD_LAYER_NORMS, unit="", moment=Moment.GRADIENT, reduction=Reduction.ROOT_SUM_SQUARE, positive=True
    ),
    measure=layer_gradient_norms,
    strided=True,
    vector=True,
)
