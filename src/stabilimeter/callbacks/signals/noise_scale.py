"""Gradient noise scale: how many micro-batches it takes until the gradient stands out from its noise."""

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from stabilimeter.callbacks.capture.gradients import HALF_PRECISION
from stabilimeter.callbacks.capture.micro_batches import without_loss_scale
from stabilimeter.callbacks.capture.probe import Site
from stabilimeter.callbacks.capture.sharding import is_sharded
from stabilimeter.callbacks.capture.signal import DerivedSignal, Moment, Reduction, Signal
from stabilimeter.callbacks.capture.step_view import StepView
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec

WINDOW = 1000
_MINIMUM = 8


class MicroBatchGradients:
    """Squared norms of the gradients of single micro-batches, before they are accumulated and averaged over ranks.

    Hooks on the way into ``.grad`` see each gradient before it is added there; a ``torch.autograd.grad`` of the user
    does not pass them. They are attached for the steps at the stride only.
    """

    def __init__(self, site: Site) -> None:
        self._trainer = site.trainer
        self._optimizer = site.optimizer
        self._automatic = site.module.automatic_optimization
        self._handles: list[Any] = []
        self._nodes: list[Any] = []
        self._norms: list[Tensor] = []
        self._counts: dict[int, int] = {}

    def prepare(self, *, stride_index: int | None) -> None:
        """Attach the hooks, or detach them."""
        self.remove()
        self._norms, self._counts = [], {}
        if stride_index is None or not self._automatic:
            return
        parameters = list(dict.fromkeys(p for group in self._optimizer.param_groups for p in group["params"]))
        if not is_sharded(parameters, self._trainer.strategy):
            nodes = [get_gradient_edge(p).node for p in parameters if p.requires_grad]
            self._nodes = nodes  # a parameter does not keep its own alive
            self._handles = [node.register_prehook(partial(self._see, i)) for i, node in enumerate(nodes)]

    def pause(self) -> None:
        """Nothing here depends on time."""

    def remove(self) -> None:
        """Detach the hooks."""
        for handle in self._handles:
            handle.remove()
        self._handles, self._nodes = [], []

    def squares(self, norm: Tensor | None) -> tuple[Tensor, Tensor, int] | None:
        """Of one micro-batch (mean of this rank), of all together, and how many there were on all ranks.

        Args:
            norm: Norm of the accumulated gradient, averaged over ranks.

        Returns:
            None unless the step has at least two micro-batches.
        """
        mine = max(self._counts.values(), default=0)
        together = mine * self._trainer.world_size
        if norm is None or mine == 0 or together < 2:
            return None
        device = norm.device
        small = torch.linalg.vector_norm(torch.stack([n.to(device, norm.dtype) for n in self._norms]))
        small = without_loss_scale(small, self._trainer.precision_plugin)
        parts = self._trainer.accumulate_grad_batches  # Lightning has divided each loss by it, also in a short step
        return small.square() * (parts**2 / mine), norm.square() * (parts / mine) ** 2, together

    def _see(self, key: int, gradients: tuple[Tensor, ...]) -> None:
        gradient = gradients[0]
        with torch.no_grad():
            values = gradient if gradient.layout is torch.strided else gradient.coalesce().values()
            wide = torch.float32 if values.dtype in HALF_PRECISION else None
            self._norms.append(torch.linalg.vector_norm(values, dtype=wide))
        self._counts[key] = self._counts.get(key, 0) + 1


def gradient_square(view: StepView) -> Tensor | None:
    """Unbiased estimate of the squared norm of the true gradient; a single one is noisy and may be negative.

    ``(B_big |G_big|^2 - B_small |G_small|^2) / (B_big - B_small)``, McCandlish et al. 2018, "An empirical model of
    large-batch training", appendix A.1. Batch sizes are counted in micro-batches (the batch of one rank): B_small is 1,
    B_big all micro-batches of the step on all ranks. Measured before clipping, at the stride.
    """
    squares = view.probe(MicroBatchGradients).squares(view.gradient_norm)
    if squares is None:
        return None
    small, big, count = squares
    return (big * count - small) / (count - 1)


def noise_trace(view: StepView) -> Tensor | None:
    """Unbiased estimate of the trace of the covariance of the gradient of one micro-batch.

    ``(|G_small|^2 - |G_big|^2) / (1 / B_small - 1 / B_big)``, from the same source as `gradient_square`.
    """
    squares = view.probe(MicroBatchGradients).squares(view.gradient_norm)
    if squares is None:
        return None
    small, big, count = squares
    return (small - big) / (1 - 1 / count)


def noise_scale(gradient_squares: NDArray[np.float64], traces: NDArray[np.float64]) -> NDArray[np.float64]:
    """B_simple = tr(Sigma) / |G|^2, the ratio of the means over the last 1,000 steps, from 8 measurements on.

    Its unit is one micro-batch: times its number of examples (or tokens) it is the batch size at which noise and
    gradient are equally large. Below it larger batches pay, above it they hardly do (equations 2.8 and 2.9). A ratio of
    means, because the mean of ratios is biased. NaN while the mean of the noisy ``|G|^2`` is not positive.

    Measured under automatic optimization with ``accumulate_grad_batches`` of at least 2, or several ranks (DDP);
    sharded parameters (FSDP, tensor parallelism) are not. Cost: one small kernel and one Python call per parameter
    tensor and micro-batch, in the steps at the stride.

    >>> noise_scale(np.full((1, 8), 2.0), np.full((1, 8), 6.0))
    array([3.])
    """
    known = np.isfinite(gradient_squares) & np.isfinite(traces)
    gradients = np.where(known, gradient_squares, 0.0).sum(axis=1)
    noise = np.where(known, traces, 0.0).sum(axis=1)
    told = known[:, -1] & (known.sum(axis=1) >= _MINIMUM) & (gradients > 0)
    return np.where(told, noise / np.where(told, gradients, 1.0), np.nan)


GRADIENT_SQUARE = Signal(
    SignalSpec(keys.NOISE_GRADIENT_SQUARE, unit="", moment=Moment.GRADIENT, reduction=Reduction.MEAN, positive=False),
    measure=gradient_square,
    strided=True,
    probe=MicroBatchGradients,
)

NOISE_TRACE = Signal(
    SignalSpec(keys.NOISE_TRACE, unit="", moment=Moment.GRADIENT, reduction=Reduction.MEAN, positive=False),
    measure=noise_trace,
    strided=True,
    probe=MicroBatchGradients,
)

NOISE_SCALE = DerivedSignal(
    SignalSpec(
        keys.NOISE_SCALE, unit="micro-batches", moment=Moment.FLUSH, reduction=Reduction.RANK_ZERO, positive=True
    ),
    sources=(keys.NOISE_GRADIENT_SQUARE, keys.NOISE_TRACE),
    window=WINDOW,
    derive=noise_scale,
)
