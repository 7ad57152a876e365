"""How much the loss varies within one step: over its micro-batches, and over the ranks."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from stabilimeter.callbacks.capture.gradients import HALF_PRECISION
from stabilimeter.callbacks.capture.probe import Site
from stabilimeter.callbacks.capture.signal import Moment, Reduction, Signal
from stabilimeter.callbacks.capture.step_view import StepView
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec


class MicroBatchLosses:
    """The losses of the micro-batches of the step in progress, as `training_step` returned them, on the device."""

    def __init__(self, site: Site) -> None:
        self._losses: list[Tensor] = []
        self._tap = site.training_step
        if site.module.automatic_optimization:
            self._tap.add(self._listen)

    def variance(self) -> Tensor | None:
        """Unbiased variance; None for fewer than two micro-batches."""
        return torch.stack(self._losses).var() if len(self._losses) > 1 else None

    def prepare(self, *, stride_index: int | None) -> None:
        """The next step begins."""
        self._losses = []

    def pause(self) -> None:
        """Nothing here depends on time."""

    def remove(self) -> None:
        """Stop listening."""
        self._tap.discard(self._listen)

    def _listen(self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        output = call(*args, **kwargs)
        loss = output.get("loss") if isinstance(output, Mapping) else output
        if isinstance(loss, Tensor):
            loss = loss.detach().reshape(())
            self._losses.append(loss.float() if loss.dtype in HALF_PRECISION else loss.clone())
        return output


def loss_variance_over_micro_batches(view: StepView) -> Tensor | None:
    """Unbiased variance of the losses of the micro-batches of one step, on one rank; mean over ranks.

    That is the noise of the loss at fixed weights: what of `train/loss_var` is due to the batches and not to training.
    Divided by the number of micro-batches it is the variance of ``train/loss`` as a mean over them. Measured under
    automatic optimization with ``accumulate_grad_batches`` of at least 2; a step resumed between two of its
    micro-batches counts those after the resumption. Cost: one copy of a number per micro-batch, three kernels on few
    numbers per step.
    """
    return view.probe(MicroBatchLosses).variance()


def loss_of_rank(view: StepView) -> Tensor | None:
    """Loss of this rank, mean over its micro-batches; its unbiased variance over the ranks is the signal.

    Ranks that draw from the same data agree up to noise: times the number of micro-batches it is then about
    `loss_variance_over_micro_batches`. Far above it, ranks see different data. Not recorded with one rank, nor for the
    last steps before an exception. Cost: one more number per step in the collective of the flush.
    """
    return view.loss


LOSS_VARIANCE_OVER_MICRO_BATCHES = Signal(
    SignalSpec(
        keys.LOSS_VAR_MICRO_BATCHES, unit="loss^2", moment=Moment.STEP_END, reduction=Reduction.MEAN, positive=True
    ),
    measure=loss_variance_over_micro_batches,
    probe=MicroBatchLosses,
)

LOSS_VARIANCE_OVER_RANKS = Signal(
    SignalSpec(keys.LOSS_VAR_RANKS, unit="loss^2", moment=Moment.STEP_END, reduction=Reduction.VARIANCE, positive=True),
    measure=loss_of_rank,
)
