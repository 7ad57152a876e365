"""Size of the parameter update relative to the parameters."""

from torch import Tensor

from stabilimeter.callbacks.capture.signal import Moment, Reduction, Signal
from stabilimeter.callbacks.capture.step_view import StepView
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec


def update_norm(view: StepView) -> Tensor | None:
    """2-norm of ``p_after - p_before``; see `update_norm.py` for its accuracy."""
    return view.update_norm


def weight_norm(view: StepView) -> Tensor | None:
    """2-norm of ``p_before``, from the same elements."""
    return view.weight_norm


UPDATE_RATIO = Signal(
    SignalSpec(keys.UPDATE_RATIO, unit="", moment=Moment.UPDATE, reduction=Reduction.ROOT_SUM_SQUARE, positive=True),
    measure=update_norm,
    divided_by=weight_norm,
    strided=True,
)
