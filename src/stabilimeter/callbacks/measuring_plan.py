"""Which column each signal fills, and at which moment."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from stabilimeter.callbacks.signal import Measured, Moment, Reduction, Signal
from stabilimeter.callbacks.step_view import StepView

Measure = Callable[[StepView], Measured]


class MeasuringPlan:
    """The columns of a buffer: one per scalar signal, in order, then one per divisor of a ratio.

    Attributes:
        keys: Key of each scalar signal, in the order of the columns.
        vector_keys: Key of each vector signal.
        vector_reductions: How ranks are combined, per vector signal.
        reductions: How ranks are combined, per column.
        scalars: Per moment, the columns to fill at every step, and what to fill them with.
        strided: The same for the columns to fill at a stride.
        vectors: Per moment, what gives a vector at a stride: index into ``vector_keys``, and the function.
    """

    def __init__(self, signals: Sequence[Signal]) -> None:
        scalars = [signal for signal in signals if not signal.vector]
        vectors = [signal for signal in signals if signal.vector]
        ratios = [signal for signal in scalars if signal.divided_by is not None]
        self.keys = [signal.spec.key for signal in scalars]
        self.vector_keys = [signal.spec.key for signal in vectors]
        self.vector_reductions = [Reduction(signal.spec.reduction) for signal in vectors]
        self.reductions = [Reduction(signal.spec.reduction) for signal in scalars + ratios]
        self.scalars: dict[Moment, list[tuple[int, Measure]]] = {moment: [] for moment in Moment}
        self.strided: dict[Moment, list[tuple[int, Measure]]] = {moment: [] for moment in Moment}
        self.vectors: dict[Moment, list[tuple[int, Measure]]] = {moment: [] for moment in Moment}
        for column, signal in enumerate(scalars):
            self._columns_of(signal).append((column, signal.measure))
        for column, signal in enumerate(ratios, start=len(scalars)):
            if signal.divided_by is not None:
                self._columns_of(signal).append((column, signal.divided_by))
        for index, signal in enumerate(vectors):
            self.vectors[signal.moment].append((index, signal.measure))
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
