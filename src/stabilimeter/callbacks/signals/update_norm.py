"""Size of the parameter update."""

from torch import Tensor

from stabilimeter.callbacks.signal import Moment, Reduction, Signal
from stabilimeter.callbacks.step_view import StepView
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec


def update_norm(view: StepView) -> Tensor | None:
    """2-norm of ``p_after - p_before`` over the parameters of the optimizer: what was done, weight decay and all.

    Exact where no parameter tensor has more than 4096 elements, otherwise an estimate from 4096 elements of each.
    """
    return view.update_norm


UPDATE_NORM = Signal(
    SignalSpec(keys.UPDATE_NORM, unit="", moment=Moment.UPDATE, reduction=Reduction.ROOT_SUM_SQUARE, positive=True),
    measure=update_norm,
)
