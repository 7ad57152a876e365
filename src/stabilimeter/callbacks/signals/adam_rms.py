"""How large the gradients are relative to Adam's estimate of their size."""

import math
from typing import Any

import torch
from torch import Tensor

from stabilimeter.callbacks.capture.gradients import HALF_PRECISION
from stabilimeter.callbacks.capture.probe import Site
from stabilimeter.callbacks.capture.sharding import is_dtensor
from stabilimeter.callbacks.capture.signal import Moment, Reduction, Signal
from stabilimeter.callbacks.capture.step_view import StepView
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec

_CHUNK = 2**22
"""So many elements are worked on at once: few kernels for small tensors, little memory for large ones."""


class AdamMoments:
    """The second moments of one Adam, right after a step that was really taken."""

    def __init__(self, site: Site) -> None:
        self._optimizer = site.optimizer
        self._layers = site.layers
        self._has_stepped = False
        self._found: dict[int, Tensor] | None = None
        self._handle: Any = None
        if hasattr(site.optimizer, "register_step_post_hook"):
            self._handle = site.optimizer.register_step_post_hook(self._note_step)

    def rms_of_each(self) -> dict[int, Tensor]:
        """Root mean square of g / max(sqrt(v), eps) by ``id`` of the parameter; empty if there is nothing to tell."""
        if self._found is not None:
            return self._found
        found: dict[int, Tensor] = {}
        self._found = found
        for group in self._optimizer.param_groups if self._has_stepped else ():
            if "betas" not in group or "eps" not in group:
                continue
            chunk: list[Tensor] = []
            for parameter in group["params"]:
                state = self._optimizer.state.get(parameter, {})
                if not {"exp_avg_sq", "step"} <= state.keys() or parameter.grad is None or is_dtensor(parameter):
                    continue
                if parameter.grad.layout is not torch.strided or state["exp_avg_sq"].shape != parameter.shape:
                    continue  # factored or sparse
                if chunk and sum(p.numel() for p in chunk) + parameter.numel() > _CHUNK:
                    found |= self._rms_of_chunk(chunk, group)
                    chunk = []
                chunk.append(parameter)
            if chunk:
                found |= self._rms_of_chunk(chunk, group)
        return found

    def rms_per_layer(self) -> Tensor | None:
        """The same as a vector, shape (num_layers,), 0 where there is none."""
        found = self.rms_of_each()
        if not found:
            return None
        absent = torch.zeros_like(next(iter(found.values())))
        return torch.stack([found.get(id(p), absent).to(absent.device) for p in self._layers])

    def prepare(self, *, stride_index: int | None) -> None:
        """A gradient scaler may leave the next step out."""
        self._has_stepped, self._found = False, None

    def pause(self) -> None:
        """Nothing here depends on time."""

    def remove(self) -> None:
        """Detach from the optimizer."""
        if self._handle is not None:
            self._handle.remove()

    def _note_step(self, *_: Any) -> None:
        self._has_stepped = True

    def _rms_of_chunk(self, parameters: list[Tensor], group: dict[str, Any]) -> dict[int, Tensor]:
        states = [self._optimizer.state[p] for p in parameters]
        device = parameters[0].device
        # 1 - beta2^t for each tensor, in float32 without cancellation, and without reading t
        steps = torch.stack([torch.as_tensor(state["step"], dtype=torch.float32) for state in states])
        decay = torch.log(torch.as_tensor(group["betas"][1], dtype=torch.float64)).float()
        corrections = -torch.expm1(steps * decay).to(device, non_blocking=True)
        gradients = [_wide(p.grad) for p in parameters if p.grad is not None]
        sizes = torch._foreach_div([_wide(state["exp_avg_sq"]) for state in states], list(corrections.unbind()))
        torch._foreach_clamp_min_(sizes, group["eps"] ** 2)
        torch._foreach_sqrt_(sizes)
        norms = torch._foreach_norm(torch._foreach_div(gradients, sizes), 2)
        return {id(p): n / math.sqrt(max(p.numel(), 1)) for p, n in zip(parameters, norms, strict=True)}


def _wide(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in HALF_PRECISION else tensor


def adam_rms_max(view: StepView) -> Tensor | None:
    """Largest RMS over the parameter tensors: ``sqrt(mean(g^2 / max(v, eps^2)))``, v corrected for its bias.

    About 1 if the second moment v describes the gradients. Well above 1 it is stale: gradients have grown faster than v
    forgets, the step is too long, and a loss spike tends to follow within 1 to 8 steps. Source: Wortsman et al. 2023,
    "Stable and low-precision training for large-scale vision-language models", section 3.4 and algorithm 2.

    Measured after each optimizer step with the gradient that the optimizer got (clipped; without the L2 term of an
    Adam with ``weight_decay``, which AdamW does not have). Recorded for optimizers that keep ``exp_avg_sq`` only, not
    for a step that a gradient scaler leaves out, and not for sharded parameters.
    Cost: five passes over the gradients, at the stride. At every step it took 40 % more time for a small transformer on
    128 tokens (on a CPU) and 27 % for a tiny MLP; to see a staleness of one step, pay that with
    ``strided_every_n_steps=1`` or ``dataclasses.replace(ADAM_RMS_MAX, strided=False)``. Memory: 2 x 4 M elements, or
    twice the largest tensor.
    """
    found = list(view.probe(AdamMoments).rms_of_each().values())
    return torch.stack([rms.to(found[0].device) for rms in found]).max() if found else None


def adam_layer_rms(view: StepView) -> Tensor | None:
    """The RMS of each parameter tensor, one vector at the stride, 0 where there is none."""
    return view.probe(AdamMoments).rms_per_layer()


ADAM_RMS_MAX = Signal(
    SignalSpec(keys.OPTIM_RMS_MAX, unit="", moment=Moment.UPDATE, reduction=Reduction.RANK_ZERO, positive=True),
    measure=adam_rms_max,
    strided=True,
    probe=AdamMoments,
)

ADAM_LAYER_RMS = Signal(
    SignalSpec(keys.OPTIM_LAYER_RMS, unit="", moment=Moment.UPDATE, reduction=Reduction.RANK_ZERO, positive=True),
    measure=adam_layer_rms,
    strided=True,
    vector=True,
    probe=AdamMoments,
)
