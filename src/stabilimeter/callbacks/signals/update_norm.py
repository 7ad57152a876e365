"""Size of the parameter update."""

from torch import Tensor

from stabilimeter.callbacks.capture.signal import Moment, Reduction, Signal
from stabilimeter.callbacks.capture.step_view import StepView
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec


def update_norm(view: StepView) -> Tensor | None:
    """2-norm of ``p_after - p_before`` over the parameters of the optimizer: what was done, weight decay and all.

    Exact where no parameter tensor has more than 65,536 elements, else an estimate from about 65,536 elements of each.
    Its error in trials of 12 to 25 steps: AdamW on a transformer of 4.9 M parameters 0.7 % (median), 1.2 % (largest);
    SGD on it 0.9 %, 1.8 %; SGD on a ResNet of 2.8 M 0.2 %, 0.4 %.
    """
    return view.update_norm


UPDATE_NORM = Signal(
    SignalSpec(keys.UPDATE_NORM, unit="", moment=Moment.UPDATE, reduction=Reduction.ROOT_SUM_SQUARE, positive=True),
    measure=update_norm,
    strided=True,
)
