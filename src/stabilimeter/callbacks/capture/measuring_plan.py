"""Which column each signal fills, and at which moment."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stabilimeter.callbacks.capture.signal import Measured, MeasuredVector, Moment, Reduction, Signal
from stabilimeter.callbacks.capture.step_view import StepView

Measure = Callable[[StepView], Measured]
MeasureVector = Callable[[StepView], MeasuredVector]


class Measurements(NamedTuple):
    """What to measure at one moment.

    Attributes:
        scalars: Columns, and what gives their values.
        vectors: Numbers of vectors, and what gives them.
    """

    scalars: list[tuple[int, Measure]]
    vectors: list[tuple[int, MeasureVector]]


class StepPlan(NamedTuple):
    """What to measure in the course of a step; see `Moment`."""

    gradient: Measurements
    clipped: Measurements
    update: Measurements
    step_end: Measurements


class MeasuringPlan:
    """The columns of a buffer: one per scalar signal, in order, then one per divisor of a ratio; and its vectors.

    Attributes:
        keys: Key of each scalar signal, in the order of the columns.
        reductions: How ranks are combined, per column.
        vector_keys: Key of each vector; its place here is its number.
        vector_reductions: How ranks are combined, per vector.
        per_layer: Numbers of the vectors with one element per parameter tensor, one at every step.
        off_stride: What to measure at most steps.
        on_stride: What to measure at a stride: all of that, and what is strided.
    """

    def __init__(self, signals: Sequence[Signal]) -> None:
        scalars = [signal for signal in signals if not signal.vector]
        vectors = [signal for signal in signals if signal.vector]
        ratios = [signal for signal in scalars if signal.divided_by is not None]
        self.keys = [signal.spec.key for signal in scalars]
        self.reductions = [Reduction(signal.spec.reduction) for signal in scalars + ratios]
        self.vector_keys = [signal.spec.key for signal in vectors]
        self.vector_reductions = [Reduction(signal.spec.reduction) for signal in vectors]
        self.per_layer = [i for i, signal in enumerate(vectors) if not signal.strided and signal.names is None]
        of_columns: list[tuple[Signal, Measure]] = [(signal, signal.measure) for signal in scalars]
        of_columns += [(signal, signal.divided_by) for signal in ratios if signal.divided_by is not None]
        of_vectors: list[tuple[Signal, MeasureVector]] = [(signal, signal.measure) for signal in vectors]
        self.off_stride = _step_plan(of_columns, of_vectors, on_stride=False)
        self.on_stride = _step_plan(of_columns, of_vectors, on_stride=True)
        self._numerators = [scalars.index(signal) for signal in ratios]

    def signal_values(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values of the scalar signals, shape (num_rows, num_scalars), from those of all columns."""
        values = columns[:, : len(self.keys)].copy()
        with np.errstate(divide="ignore", invalid="ignore"):
            for i, numerator in enumerate(self._numerators):
                values[:, numerator] /= columns[:, len(self.keys) + i]
        return values


def _step_plan(
    columns: Sequence[tuple[Signal, Measure]], vectors: Sequence[tuple[Signal, MeasureVector]], *, on_stride: bool
) -> StepPlan:
    def at(moment: Moment) -> Measurements:
        def wanted(signal: Signal) -> bool:
            return signal.moment is moment and (on_stride or not signal.strided)

        return Measurements(
            [(column, measure) for column, (signal, measure) in enumerate(columns) if wanted(signal)],
            [(number, measure) for number, (signal, measure) in enumerate(vectors) if wanted(signal)],
        )

    return StepPlan(at(Moment.GRADIENT), at(Moment.CLIPPED), at(Moment.UPDATE), at(Moment.STEP_END))
