"""Sharpness: the largest eigenvalue of the Hessian of the training loss, plain and as Adam sees it."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from stabilimeter.callbacks.capture.lanczos import largest_eigenvalue
from stabilimeter.callbacks.capture.probe import Site
from stabilimeter.callbacks.capture.sharding import is_sharded
from stabilimeter.callbacks.capture.signal import Moment, Reduction, Signal
from stabilimeter.callbacks.capture.step_view import StepView
from stabilimeter.callbacks.capture.without_trace import without_trace
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec

_SEED = 20210226
"""Of the generator that draws the start vector and nothing else."""


class Curvature:
    """Products of vectors with the Hessian of the loss of the last micro-batch, at the parameters of one optimizer.

    Args:
        site: Where.
        every_n_strides: Measure at every so many strides, from the second one on.
        num_iterations: Products per eigenvalue.

    Raises:
        ValueError: If the training is one in which this cannot be measured.
    """

    def __init__(self, site: Site, every_n_strides: int, num_iterations: int) -> None:
        self._trainer = site.trainer
        self._module = site.module
        self._optimizer = site.optimizer
        self._tap = site.training_step
        self._every = every_n_strides
        self._num_iterations = num_iterations
        self._last_call: tuple[tuple[Any, ...], dict[str, Any]] | None = None
        self._check()

    def largest_eigenvalue(self) -> Tensor | None:
        """Of the Hessian; None if this is no step to measure it."""
        return self._measured(lambda parameters: None)

    def largest_preconditioned_eigenvalue(self) -> Tensor | None:
        """Of ``P^(-1/2) H P^(-1/2)``; None also before the first step, and without ``exp_avg_sq``."""
        return self._measured(self._inverse_roots, needs_moments=True)

    def prepare(self, *, stride_index: int | None) -> None:
        """Listen, or do not."""
        self._last_call = None
        if stride_index is not None and stride_index % self._every == 1 % self._every:
            self._tap.add(self._listen)
        else:
            self._tap.discard(self._listen)

    def pause(self) -> None:
        """Nothing here depends on time."""

    def remove(self) -> None:
        """Stop listening."""
        self._last_call = None
        self._tap.discard(self._listen)

    def _listen(self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._last_call = (args, kwargs)
        return call(*args, **kwargs)

    def _check(self) -> None:
        why = None
        if not self._module.automatic_optimization:
            why = "training_step steps the optimizer itself (manual optimization), so it cannot be run once more"
        elif is_sharded(self._parameters(), self._trainer.strategy):
            why = "the parameters are sharded"
        elif any(p.dtype not in (torch.float32, torch.float64) for p in self._parameters()):
            why = "some parameters are not float32 or float64, whose second derivatives would be noise"
        if why is not None:
            raise ValueError(f"the signals of the Hessian cannot be measured here: {why}. Leave them out of `signals`")

    def _parameters(self) -> list[Tensor]:
        groups = self._optimizer.param_groups
        return list(dict.fromkeys(p for group in groups for p in group["params"] if p.requires_grad))

    def _measured(
        self, inverse_roots: Callable[[list[Tensor]], Tensor | None], *, needs_moments: bool = False
    ) -> Tensor | None:
        if self._last_call is None:
            return None
        parameters = self._parameters()
        roots = inverse_roots(parameters)
        if needs_moments and roots is None:
            return None
        plugin = self._trainer.precision_plugin
        with ExitStack() as stack:
            stack.enter_context(without_trace(self._module))
            stack.enter_context(torch.enable_grad())
            # in full precision, and by the one kernel of attention that has a second derivative
            stack.enter_context(nullcontext() if isinstance(plugin, MixedPrecision) else plugin.train_step_context())
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            try:
                product = self._hessian_product(parameters)
                if product is None:
                    return None
                return largest_eigenvalue(
                    product if roots is None else lambda vector: roots * product(roots * vector),
                    self._start(parameters),
                    self._num_iterations,
                )
            except RuntimeError as error:
                raise RuntimeError(
                    "the signals of the Hessian cannot be measured here: some operation of training_step has no second "
                    "derivative (or the device has no memory for it). Leave them out of `signals`"
                ) from error

    def _hessian_product(self, parameters: list[Tensor]) -> Callable[[Tensor], Tensor] | None:
        if self._last_call is None:
            return None
        args, kwargs = self._last_call
        output = self._tap.original(*args, **kwargs)
        loss = output.get("loss") if isinstance(output, Mapping) else output
        if not isinstance(loss, Tensor):
            return None
        found = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
        # of the others the gradient is constant, and their rows of the Hessian are 0
        gradients = {i: g for i, g in enumerate(found) if g is not None and g.requires_grad}
        is_closed = {id(p) for p in self._module.parameters() if p.requires_grad} <= {id(p) for p in parameters}

        def product(vector: Tensor) -> Tensor:
            if not gradients:
                return torch.zeros_like(vector)
            pieces = torch.split(vector, [p.numel() for p in parameters])
            weights = [pieces[i].view_as(gradient).to(gradient.dtype) for i, gradient in gradients.items()]
            images = torch.autograd.grad(
                list(gradients.values()), parameters, weights, retain_graph=True, allow_unused=True
            )
            if is_closed and any(images[i] is None for i in gradients):
                # a symmetric matrix has no column of zeros where it has a row that depends on something
                raise RuntimeError("a gradient has lost its dependence on the parameters")
            rows = [torch.zeros_like(p) if row is None else row for p, row in zip(parameters, images, strict=True)]
            flat = torch.cat([row.detach().reshape(-1).to(vector) for row in rows])
            if self._trainer.world_size > 1:
                torch.distributed.all_reduce(flat)
                flat /= self._trainer.world_size
            return flat

        return product

    def _start(self, parameters: list[Tensor]) -> Tensor:
        """The same at every measurement, on every rank and on every device."""
        generator = torch.Generator().manual_seed(_SEED)
        start = torch.randn(sum(p.numel() for p in parameters), generator=generator)
        return start.to(parameters[0].device, torch.promote_types(torch.float32, parameters[0].dtype))

    def _inverse_roots(self, parameters: list[Tensor]) -> Tensor | None:
        """``P^(-1/2)`` as a vector, 0 for parameters that have not been stepped; None if none has."""
        group_of = {id(p): group for group in self._optimizer.param_groups for p in group["params"]}
        parts: list[Tensor] = []
        found = False
        for p in parameters:
            group, state = group_of[id(p)], self._optimizer.state.get(p, {})
            if not {"exp_avg_sq", "step"} <= state.keys() or not {"betas", "eps"} <= group.keys():
                parts.append(torch.zeros(p.numel(), device=p.device))
                continue
            found = True
            second = state["max_exp_avg_sq"] if group.get("amsgrad") else state["exp_avg_sq"]
            beta1, beta2 = (float(beta) for beta in group["betas"])
            step = torch.as_tensor(state["step"], dtype=torch.float64)
            first_correction, second_correction = (1 - beta1**step, 1 - beta2**step)
            size = (second.double() / second_correction.to(p.device)).sqrt() + float(group["eps"])
            parts.append((first_correction.to(p.device) * size).rsqrt().reshape(-1).to(p.dtype))
        return torch.cat([part.to(parameters[0].device) for part in parts]) if found else None


@dataclass(frozen=True)
class CurvatureOf:
    """Makes a `Curvature`; signals of the same schedule share one."""

    every_n_strides: int
    num_iterations: int

    def __post_init__(self) -> None:
        for name, number in vars(self).items():
            if number < 1:
                raise ValueError(f"{name} must be at least 1, got {number}")

    def __call__(self, site: Site) -> Curvature:
        """One for this site."""
        return Curvature(site, self.every_n_strides, self.num_iterations)


def _plain(kind: CurvatureOf, view: StepView) -> Tensor | None:
    return view.probe(kind).largest_eigenvalue()


def _preconditioned(kind: CurvatureOf, view: StepView) -> Tensor | None:
    return view.probe(kind).largest_preconditioned_eigenvalue()


def hessian_max(every_n_strides: int = 25, num_iterations: int = 20) -> Signal:
    """Largest eigenvalue of the Hessian of the loss, by some iterations of Lanczos: a lower bound that is close.

    Full-batch gradient descent is stable below ``2 / learning rate``, with heavy-ball momentum below
    ``(2 + 2 momentum) / learning rate``; training tends to drive it there, to the edge of stability (Cohen et al. 2021,
    "Gradient descent on neural networks typically occurs at the edge of stability", sections 2 and 3).

    Of the last micro-batch before the step (the mean loss over ranks), with weight decay left out, dropout as drawn,
    batch norm in training mode. `training_step` is run once more on that batch, in full precision and leaving no trace
    in buffers, metrics, logs and random states; it must not change anything else. The start vector is always the same.
    Cost: see ``docs/more_signals.md``; memory for a second backward pass and three copies of the parameters. It waits
    for the device.

    Args:
        every_n_strides: Measure at every so many strides (25 strides are 500 steps by default), from the second one on.
        num_iterations: Products with the Hessian; each costs about two backward passes.

    Raises:
        ValueError: If one of them is below 1.
    """
    kind = CurvatureOf(every_n_strides, num_iterations)
    return Signal(
        SignalSpec(keys.HESSIAN_MAX, unit="", moment=Moment.GRADIENT, reduction=Reduction.RANK_ZERO, positive=False),
        measure=partial(_plain, kind),
        strided=True,
        probe=kind,
    )


def hessian_preconditioned_max(every_n_strides: int = 25, num_iterations: int = 20) -> Signal:
    """Largest eigenvalue of ``P^(-1/2) H P^(-1/2)``, ``P = (1 - beta1^t) (sqrt(v / (1 - beta2^t)) + eps)``.

    What `hessian_max` is to gradient descent, this is to Adam: stable below ``(2 + 2 beta1) / ((1 - beta1) learning
    rate)``, that is 38 / learning rate for the default 0.9. Source: Cohen et al. 2022, "Adaptive gradient methods at
    the edge of stability", section 3. For optimizers that keep ``exp_avg_sq``, once they have stepped. Everything else
    as for `hessian_max`.

    Args:
        every_n_strides: Measure at every so many strides, from the second one on.
        num_iterations: Products with the Hessian.

    Raises:
        ValueError: If one of them is below 1.
    """
    kind = CurvatureOf(every_n_strides, num_iterations)
    return Signal(
        SignalSpec(
            keys.HESSIAN_PRECONDITIONED_MAX,
            unit="",
            moment=Moment.GRADIENT,
            reduction=Reduction.RANK_ZERO,
            positive=False,
        ),
        measure=partial(_preconditioned, kind),
        strided=True,
        probe=kind,
    )


HESSIAN_MAX = hessian_max()

HESSIAN_PRECONDITIONED_MAX = hessian_preconditioned_max()
