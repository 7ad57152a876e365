"""Sees the gradients on both sides of Lightning's clipping, and the total norm that the clipping used.

Lightning computes the total norm in order to clip, and throws it away. Its precision plugin has one public method per
way of clipping; both are wrapped on the instance for the time of a fit, so that the norm is computed once. The clipping
itself is unchanged, bit for bit. Clipping that does not go through ``Trainer(gradient_clip_val=...)`` or
``LightningModule.clip_gradients`` (a call of ``torch.nn.utils.clip_grad_norm_`` in user code) is not seen.
"""

from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch.plugins.precision import Precision
from torch import Tensor

Around = Callable[[Any, Tensor | None, float, Callable[[], None]], None]
"""Gets the optimizer, the total norm if the clipping has computed it, the clip value, and a function that clips."""


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
            gradients = [p.grad for p in parameters if p.grad is not None]
            if knows_total and gradients:  # the two halves of torch.nn.utils.clip_grad_norm_
                total = torch.nn.utils.get_total_norm(gradients)
                self._around(
                    optimizer,
                    total,
                    clip_val,
                    lambda: torch.nn.utils.clip_grads_with_norm_(parameters, clip_val, total),
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
