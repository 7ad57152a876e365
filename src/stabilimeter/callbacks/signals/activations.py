"""What the modules put out: how large it is, how unevenly spread over the features, how much of it is dead."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from stabilimeter.callbacks.capture.gradients import HALF_PRECISION
from stabilimeter.callbacks.capture.probe import Site
from stabilimeter.callbacks.capture.sharding import local_part
from stabilimeter.callbacks.capture.signal import Moment, Reduction, Signal
from stabilimeter.callbacks.capture.step_view import StepView
from stabilimeter.callbacks.capture.watched_modules import feature_dimension, watched_modules
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec

_NUM_ROWS = 4096


def mean_kurtosis(rows: Tensor) -> Tensor:
    """Kurtosis over the features of each row, mean over the rows that are not constant; NaN if all are.

    ``mean((x - mean)^4) / mean((x - mean)^2)^2``: 3 for Gaussian features, up to their number if one carries all.

    Args:
        rows: Shape (num_rows, num_features), floating point.

    >>> mean_kurtosis(torch.tensor([[1.0, -1.0, 1.0, -1.0], [5.0, 5.0, 5.0, 5.0]])).item()
    1.0
    """
    mean = rows.mean(dim=1, keepdim=True)
    centred = rows - mean
    variance = centred.square().mean(dim=1, keepdim=True)
    varies = variance > (4 * torch.finfo(rows.dtype).eps * mean).square()
    scaled = centred * torch.where(varies, variance, 1.0).rsqrt()
    kurtosis = torch.where(varies, scaled.square().square().mean(dim=1, keepdim=True), 0.0)
    return kurtosis.sum() / varies.sum()


def _mean(values: list[Tensor]) -> Tensor:
    return values[0] if len(values) == 1 else torch.stack(values).mean()


def _sampled_rows(output: Tensor, dimension: int) -> Tensor:
    """Features of every so-many-th example and position, about 4096 of them, shape (num_rows, num_features)."""
    view = output.movedim(dimension, -1)
    if view.dim() > 2:  # leave out examples before anything is copied
        view = view[:: min(len(view), math.ceil(output.numel() / view.shape[-1] / _NUM_ROWS))]
    rows = view.reshape(-1, view.shape[-1])
    return rows[:: math.ceil(len(rows) / _NUM_ROWS)]


class Statistics(NamedTuple):
    """Of the modules that were called, in the order of their first call; each of shape (num_called,).

    Attributes:
        rms: Root mean square of the outputs.
        kurtosis: `mean_kurtosis` of each, mean over micro-batches.
        dead_fraction: Share of the features that were 0 for every example and position of the step.
    """

    rms: Tensor
    kurtosis: Tensor
    dead_fraction: Tensor


class Activations:
    """Outputs of the watched modules in one step, reduced to three numbers each as soon as they appear.

    Forward hooks are attached while `training_step` runs, in the steps at the stride only.
    """

    def __init__(self, site: Site) -> None:
        self._tap = site.training_step
        self._modules = watched_modules(site.module)
        self._device = site.trainer.strategy.root_device
        self._statistics: Statistics | None = None
        self._forget()

    def prepare(self, *, stride_index: int | None) -> None:
        """Stand around `training_step`, or do not."""
        self._forget()
        if stride_index is None or not self._modules:
            self._tap.discard(self._watch)
        else:
            self._tap.add(self._watch)

    def pause(self) -> None:
        """Nothing here depends on time."""

    def remove(self) -> None:
        """Step aside."""
        self._tap.discard(self._watch)

    @property
    def statistics(self) -> Statistics | None:
        """Of the modules that were called in the step so far; None if none was."""
        if self._statistics is None and self._alive:
            dead = torch.stack([alive.float().mean() for alive in self._alive.values()])
            self._statistics = Statistics(
                rms=torch.stack([_mean(seen) for seen in self._mean_squares.values()]).sqrt(),
                kurtosis=torch.stack([_mean(seen) for seen in self._kurtoses.values()]),
                dead_fraction=1.0 - dead,
            )
        return self._statistics

    def vector(self, values: Tensor | None) -> Tensor | None:
        """One element per module, NaN where it was not called; on every rank of the same length, whatever was seen."""
        if not self._modules:
            return None
        called = {} if values is None else dict(zip(self._alive, values.unbind(), strict=True))
        absent = torch.full((), math.nan, device=self._device)
        return torch.stack([called[name].to(absent) if name in called else absent for name in self._modules])

    def _forget(self) -> None:
        self._mean_squares: dict[str, list[Tensor]] = {}
        self._kurtoses: dict[str, list[Tensor]] = {}
        self._alive: dict[str, Tensor] = {}
        self._statistics = None

    def _watch(self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        handles = [module.register_forward_hook(self._hook(name)) for name, module in self._modules.items()]
        try:
            return call(*args, **kwargs)
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def see(module: nn.Module, inputs: Any, output: Any) -> None:
            if torch.compiler.is_compiling():
                return
            first = next(iter(output), None) if isinstance(output, tuple | list) else output
            if isinstance(first, Tensor) and first.is_floating_point() and first.dim() and first.numel():
                with torch.no_grad():
                    self._see(name, feature_dimension(module, first.dim()), local_part(first.detach()))

        return see

    def _see(self, name: str, dimension: int, output: Tensor) -> None:
        self._statistics = None
        wide = torch.float32 if output.dtype in HALF_PRECISION else output.dtype
        norm = torch.linalg.vector_norm(output, dtype=wide)
        self._mean_squares.setdefault(name, []).append(norm.square() / output.numel())
        self._kurtoses.setdefault(name, []).append(mean_kurtosis(_sampled_rows(output, dimension).to(wide)))
        others = [d for d in range(output.dim()) if d != dimension % output.dim()]
        alive = output.ne(0).any(dim=others) if others else output.ne(0)
        before = self._alive.get(name)
        self._alive[name] = alive if before is None or before.shape != alive.shape else alive | before


def rms_per_module(view: StepView) -> Tensor | None:
    """Root mean square of the output of each module, one vector at the stride.

    Measured in `training_step`, over all micro-batches of the step: every named module but containers and dropout (see
    `watched_modules.py`), the first tensor of its output. NaN for a module that was not called or lies within compiled
    code; mean over ranks. What functions (``F.relu``) put out is seen where it is the output of a module.
    """
    probe = view.probe(Activations)
    return probe.vector(None if probe.statistics is None else probe.statistics.rms)


def kurtosis_per_module(view: StepView) -> Tensor | None:
    """Kurtosis over the features, mean over examples and positions: 3 for Gaussian features, more with outliers.

    Features that are outliers for every token precede trouble with low precision (Bondarenko et al. 2021,
    "Understanding and overcoming the challenges of efficient transformer quantization"; He et al. 2024, "Understanding
    and minimising outlier features in neural network training"). Rows of equal values are left out. Of an output with
    many examples and positions about 4096, evenly spread, are looked at.
    """
    probe = view.probe(Activations)
    return probe.vector(None if probe.statistics is None else probe.statistics.kurtosis)


def dead_fraction_per_module(view: StepView) -> Tensor | None:
    """Share of the features (channels) that were exactly 0 for every example of the step: dead ReLUs."""
    probe = view.probe(Activations)
    return probe.vector(None if probe.statistics is None else probe.statistics.dead_fraction)


def rms_max(view: StepView) -> Tensor | None:
    """The largest of `rms_per_module`."""
    statistics = view.probe(Activations).statistics
    return None if statistics is None else statistics.rms.max()


def kurtosis_max(view: StepView) -> Tensor | None:
    """The largest of `kurtosis_per_module`, of those where some row varies."""
    statistics = view.probe(Activations).statistics
    if statistics is None:
        return None
    largest = statistics.kurtosis.nan_to_num(nan=-math.inf).max()
    return torch.where(torch.isneginf(largest), math.nan, largest)


def dead_fraction_max(view: StepView) -> Tensor | None:
    """The largest of `dead_fraction_per_module`."""
    statistics = view.probe(Activations).statistics
    return None if statistics is None else statistics.dead_fraction.max()


def _signal(key: str, measure: Callable[[StepView], Tensor | None], *, of_modules: bool = False) -> Signal:
    return Signal(
        SignalSpec(key, unit="", moment=Moment.GRADIENT, reduction=Reduction.MEAN, positive=False),
        measure=measure,
        strided=True,
        vector=of_modules,
        names=_names if of_modules else None,
        probe=Activations,
    )


def _names(module: LightningModule) -> Sequence[str]:
    return list(watched_modules(module))


RMS_MAX = _signal(keys.ACTIVATION_RMS_MAX, rms_max)

KURTOSIS_MAX = _signal(keys.ACTIVATION_KURTOSIS_MAX, kurtosis_max)

DEAD_FRACTION_MAX = _signal(keys.ACTIVATION_DEAD_MAX, dead_fraction_max)

MODULE_RMS = _signal(keys.ACTIVATION_MODULE_RMS, rms_per_module, of_modules=True)

MODULE_KURTOSIS = _signal(keys.ACTIVATION_MODULE_KURTOSIS, kurtosis_per_module, of_modules=True)

MODULE_DEAD_FRACTION = _signal(keys.ACTIVATION_MODULE_DEAD, dead_fraction_per_module, of_modules=True)
