"""What a signal is: a description, a moment, and a function that measures it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
from lightning.pytorch import LightningModule
from numpy.typing import NDArray
from torch import Tensor

from stabilimeter.callbacks.capture.gradients import TensorNorms
from stabilimeter.callbacks.capture.probe import Probe, Site
from stabilimeter.callbacks.capture.step_view import StepView
from stabilimeter.records.manifest import SignalSpec

Measured = Tensor | TensorNorms | float | None
"""A 0-d tensor on the device, norms whose total is wanted, a number that was never on the device, or None: nothing to
measure this time."""

MeasuredVector = Tensor | TensorNorms | None
"""A vector on the device, or None."""


class Moment(str, Enum):
    """When, within an optimizer step, a signal is measured."""

    GRADIENT = "before the optimizer step: gradients accumulated and unscaled, not yet clipped"
    CLIPPED = "before the optimizer step, right after clipping"
    UPDATE = "right after the optimizer step"
    STEP_END = "when the step is over; the mean over its micro-batches"
    FLUSH = "derived on the host from recorded values"


class Reduction(str, Enum):
    """How the values of several ranks become one."""

    MEAN = "mean over ranks"
    VARIANCE = "unbiased variance over ranks; nothing with one rank"
    ROOT_SUM_SQUARE = "root of the sum of squares over shards; equal on all ranks if nothing is sharded"
    RANK_ZERO = "rank 0"


@dataclass(frozen=True)
class Signal:
    """Something measured at every optimizer step, or at a stride.

    Attributes:
        spec: Key, unit, `Moment` and `Reduction`.
        measure: Reads a `StepView` at that moment. It must not read the device: it returns `Measured` as it is, or
            `MeasuredVector` if ``vector``.
        divided_by: A second measurement, with the same moment and reduction, that divides the first after both have
            been combined over the ranks (a ratio of norms is not a norm of ratios).
        strided: Measured at a stride only, because it costs a pass over all parameters.
        vector: A vector instead of one number; kept on disk at the stride.
        names: Names of the elements of a vector, from the module; None for one element per parameter tensor.
        probe: What it needs beyond the `StepView`, which it then finds by ``view.probe(...)``.
    """

    spec: SignalSpec
    measure: Callable[[StepView], Any]
    divided_by: Callable[[StepView], Measured] | None = None
    strided: bool = False
    vector: bool = False
    names: Callable[[LightningModule], Sequence[str]] | None = None
    probe: Callable[[Site], Probe] | None = None

    @property
    def moment(self) -> Moment:
        """The moment, as the enum."""
        return Moment(self.spec.moment)


@dataclass(frozen=True)
class DerivedSignal:
    """Something computed on the host, at the flush, from the recent values of other signals.

    Attributes:
        spec: Key, unit and so on; the moment is `Moment.FLUSH`.
        sources: Keys of the signals it needs.
        window: Number of last steps it looks at.
        derive: Maps one array per source, shape (num_steps, window), NaN where there is no value, to (num_steps,).
    """

    spec: SignalSpec
    sources: tuple[str, ...]
    window: int
    derive: Callable[..., NDArray[np.float64]]


AnySignal = Signal | DerivedSignal


def for_optimizer(signals: Sequence[AnySignal], suffix: str) -> list[AnySignal]:
    """The same signals for one of several optimizers: every key, and every source, gets ``suffix``."""
    return [_renamed(signal, suffix) for signal in signals]


def _renamed(signal: AnySignal, suffix: str) -> AnySignal:
    spec = replace(signal.spec, key=signal.spec.key + suffix)
    if isinstance(signal, DerivedSignal):
        return replace(signal, spec=spec, sources=tuple(source + suffix for source in signal.sources))
    return replace(signal, spec=spec)
