"""Loss and gradient norm of an optimizer step, equal on all ranks, before the step is taken."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stabilimeter.callbacks.capture.gradients import Gradients
from stabilimeter.callbacks.capture.sharding import holders, is_sharded


class Gauge:
    """Measures one optimizer.

    Args:
        optimizer: The optimizer.
        strategy: The Trainer's strategy.
        world_size: Number of ranks.
    """

    def __init__(self, optimizer: Any, strategy: Any, world_size: int) -> None:
        self._optimizer = optimizer
        self._strategy = strategy
        self._world_size = world_size
        self._look_at_parameters()

    @property
    def parameters(self) -> Sequence[Tensor]:
        """The parameters that the optimizer holds."""
        if len(self._optimizer.param_groups) != self._num_groups:  # finetuning adds groups during training
            self._look_at_parameters()
        return self._parameters

    @torch.no_grad()
    def measured(self, loss: Tensor | None) -> tuple[Tensor | None, bool]:
        """Loss and gradient norm, shape (2,), on the device; and whether there are gradients.

        Over ranks, the loss is the largest one, so that one rank's spike shows undiluted and the alarm rate does not
        grow with the number of ranks. The norm is that of the whole gradient: equal on all ranks under DDP, put
        together from the shards under FSDP2. Any non-finite value on any rank stays visible.

        Args:
            loss: This rank's loss; None if there is none.

        Returns:
            None if there is neither a loss nor a gradient.
        """
        device = self.parameters[0].device if self.parameters else torch.device("cpu")
        norm = self._gradients.norm()
        if loss is None and norm is None:
            return None, False
        absent = torch.zeros((), device=device)
        pair = torch.stack([(absent if x is None else x).to(device, torch.float32) for x in (loss, norm)])
        if self._world_size > 1:
            gathered = self._strategy.all_gather(pair)
            worst = torch.where(gathered.isfinite().all(0), gathered.amax(0), gathered.sum(0))
            if self._sharded:
                worst[1] = torch.linalg.vector_norm(gathered[:, 1])
            pair = worst
        return pair, norm is not None

    def _look_at_parameters(self) -> None:
        groups = self._optimizer.param_groups
        self._num_groups = len(groups)
        self._parameters: list[Tensor] = list(dict.fromkeys(p for group in groups for p in group["params"]))
        self._sharded = is_sharded(self._parameters, self._strategy)
        self._gradients = Gradients(
            self._parameters, holders(self._parameters, self._world_size, self._strategy), layers=[]
        )
