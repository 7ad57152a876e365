"""Which column each signal fills, and at which moment."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stabilimeter.callbacks.capture.signal import Measured, MeasuredVector, Moment, Reduction, Signal
from stabilimeter.callbacks.capture.step_view import StepView

Measure = Callable[[StepView], Measured]


class VectorPlan(NamedTuple):
    """A vector to measure.

    Attributes:
        key: Its key.
        measure: What gives it.
        reduction: How ranks are combined.
        always: Whether there is one at every step, with one element per parameter tensor: zeros if it has no value.
    """

    key: str
    measure: Callable[[StepView], MeasuredVector]
    reduction: Reduction
    always: bool


class MeasuringPlan:
    """The columns of a buffer: one per scalar signal, in order, then one per divisor of a ratio.

    Attributes:
        keys: Key of each scalar signal, in the order of the columns.
        reductions: How ranks are combined, per column.
        scalars: Per moment, the columns to fill at every step, and what to fill them with.
        strided: The same for the columns to fill at a stride.
        vectors: Per moment, the vectors to measure at every step.
        strided_vectors: Per moment, the vectors to measure at a stride.
    """

    def __init__(self, signals: Sequence[Signal]) -> None:
        scalars = [signal for signal in signals if not signal.vector]
        vectors = [signal for signal in signals if signal.vector]
        ratios = [signal for signal in scalars if signal.divided_by is not None]
        self.keys = [signal.spec.key for signal in scalars]
        self.reductions = [Reduction(signal.spec.reduction) for signal in scalars + ratios]
        self.scalars: dict[Moment, list[tuple[int, Measure]]] = {moment: [] for moment in Moment}
        self.strided: dict[Moment, list[tuple[int, Measure]]] = {moment: [] for moment in Moment}
        self.vectors: dict[Moment, list[VectorPlan]] = {moment: [] for moment in Moment}
        self.strided_vectors: dict[Moment, list[VectorPlan]] = {moment: [] for moment in Moment}
        for column, signal in enumerate(scalars):
            self._columns_of(signal).append((column, signal.measure))
        for column, signal in enumerate(ratios, start=len(scalars)):
            if signal.divided_by is not None:
                self._columns_of(signal).append((column, signal.divided_by))
        for signal in vectors:
            measured = self.strided_vectors if signal.strided else self.vectors
            reduction = Reduction(signal.spec.reduction)
            always = not signal.strided and signal.names is None
            plan = VectorPlan(signal.spec.key, signal.measure, reduction, always)
            measured[signal.moment].append(plan)
        self._numerators = [scalars.index(signal) for signal in ratios]

    def _columns_of(self, signal: Signal) -> list[tuple[int, Measure]]:
        return (self.strided if signal.strided else self.scalars)[signal.moment]

    def signal_values(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values of the scalar signals, shape (num_rows, num_scalars), from those of all columns."""
        values = columns[:, : len(self.keys)].copy()
        with np.errstate(divide="ignore", invalid="ignore"):
            for i, numerator in enumerate(self._numerators):
                values[:, numerator] /= columns[:, len(self.keys) + i]
        return values
