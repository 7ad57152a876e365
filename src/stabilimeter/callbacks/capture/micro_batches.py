"""The loss of an optimizer step: the mean over its micro-batches, as `training_step` returned it."""

from typing import Any

import torch
from torch import Tensor


class MicroBatchLoss:
    """Sums the losses seen since the last optimizer step, on the device."""

    def __init__(self) -> None:
        self._sum: Tensor | None = None
        self._count = 0

    def add(self, loss: Tensor, *, divided_by: int = 1) -> None:
        """Count one micro-batch.

        Args:
            loss: Its loss, which nobody else changes.
            divided_by: What Lightning has divided it by already (``accumulate_grad_batches``).
        """
        if loss.requires_grad:
            loss = loss.detach()
        if loss.dim():
            loss = loss.reshape(())
        if divided_by != 1:
            loss = loss * divided_by
        self._sum = loss if self._sum is None else self._sum + loss
        self._count += 1

    def take(self) -> Tensor | None:
        """The mean over the micro-batches since the last call; None if there was none."""
        total, count = self._sum, self._count
        self._sum, self._count = None, 0
        return total if total is None or count == 1 else total / count

    def state_dict(self) -> dict[str, Any]:
        """A step may be interrupted between two of its micro-batches."""
        return {"sum": self._sum, "count": self._count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self._sum, self._count = state["sum"], state["count"]


def without_loss_scale(loss: Tensor, precision_plugin: Any) -> Tensor:
    """``loss`` as the user passed it to ``manual_backward``; hooks see it times the scale of a ``GradScaler``."""
    scaler = getattr(precision_plugin, "scaler", None)
    if scaler is None:
        return loss
    scale: Tensor = scaler.scale(torch.ones_like(loss))
    return loss / scale
