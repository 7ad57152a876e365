"""Sees the gradients on both sides of Lightning's clipping, and the total norm that the clipping used.

Lightning computes the total norm in order to clip, and throws it away. Its precision plugin has one public method per
way of clipping; both are wrapped on the instance for the time of a fit, so that the norm is computed once. The clipping
itself is unchanged, bit for bit. Clipping that does not go through ``Trainer(gradient_clip_val=...)`` or
``LightningModule.clip_gradients`` (a call of ``torch.nn.utils.clip_grad_norm_`` in user code) is not seen.
"""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import torch
from lightning.pytorch.plugins.precision import Precision
from torch import Tensor


class ClipNorms(NamedTuple):
    """What the clipping computes in order to clip.

    Attributes:
        total: 2-norm of all gradients.
        parameters: The parameters with a gradient.
        each: 2-norm of the gradient of each of them, shape (num_parameters,); None if not known.
    """

    total: Tensor
    parameters: Sequence[Tensor]
    each: Tensor | None


Around = Callable[[Any, ClipNorms | None, float, Callable[[], None]], None]
"""Gets the optimizer, the norms if the clipping has computed them, the clip value, and a function that clips."""


class ClipTap:
    """Lets ``around`` do the clipping, between `install` and `remove`.

    Args:
        plugin: The Trainer's precision plugin.
        around: Must call the function that it is given, once.
    """

    def __init__(self, plugin: Precision, around: Around) -> None:
        self._plugin: Any = plugin
        self._around = around

    def install(self) -> None:
        """Wrap the plugin."""
        by_norm, by_value = self._plugin.clip_grad_by_norm, self._plugin.clip_grad_by_value
        is_lightnings_own = getattr(by_norm, "__func__", None) is Precision.clip_grad_by_norm
        knows_total = is_lightnings_own and hasattr(torch.nn.utils, "clip_grads_with_norm_")

        def norm(optimizer: Any, clip_val: float) -> None:
            parameters = list(self._plugin.main_params(optimizer))
            present = [p for p in parameters if p.grad is not None]
            if knows_total and present:  # the two halves of torch.nn.utils.clip_grad_norm_
                norms = _norms(present)
                self._around(
                    optimizer,
                    norms,
                    clip_val,
                    lambda: torch.nn.utils.clip_grads_with_norm_(parameters, clip_val, norms.total),
                )
            else:
                self._around(optimizer, None, clip_val, lambda: by_norm(optimizer, clip_val))

        def value(optimizer: Any, clip_val: float) -> None:
            self._around(optimizer, None, clip_val, lambda: by_value(optimizer, clip_val))

        self._plugin.clip_grad_by_norm = norm
        self._plugin.clip_grad_by_value = value

    def remove(self) -> None:
        """Give the plugin its own methods back."""
        for name in ("clip_grad_by_norm", "clip_grad_by_value"):
            self._plugin.__dict__.pop(name, None)


@torch.no_grad()
def _norms(parameters: Sequence[Tensor]) -> ClipNorms:
    """``torch.nn.utils.get_total_norm``, by the same operations, and what it computes on the way."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    alike = len(set(map(attrgetter("device", "dtype", "layout"), gradients))) == 1
    if not alike or set(map(type, gradients)) != {Tensor} or gradients[0].layout is not torch.strided:
        return ClipNorms(torch.nn.utils.get_total_norm(gradients), parameters, None)
    each = torch.stack(torch._foreach_norm(gradients, 2.0))
    return ClipNorms(torch.linalg.vector_norm(each, 2.0), parameters, each)
