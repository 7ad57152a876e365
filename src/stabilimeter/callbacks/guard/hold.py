"""A step that is not taken: nothing that belongs to it may leave a trace.

Without gradients an optimizer leaves its parameters and its own state alone (every optimizer of ``torch.optim`` does).
Three more things would move on: buffers, which the forward pass has already changed (the running statistics of a batch
normalisation are NaN for good after one batch of NaN); learning-rate schedules, which Lightning steps whether or not
the optimizer did; and the gradient scaler of 16-bit training, which counts the step or lowers its scale.
"""

import sys
from collections.abc import Iterable
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from stabilimeter.callbacks.capture.sharding import local_part

_NEVER = sys.maxsize


class Hold:
    """Keeps buffers, schedules and gradient scaler where they are.

    Args:
        trainer: The Trainer.
        module: Its module.
    """

    def __init__(self, trainer: Trainer, module: LightningModule) -> None:
        self._plugin = trainer.precision_plugin
        self._schedules = [config for config in trainer.lr_scheduler_configs if config.interval == "step"]
        self._frequencies: list[int] = []
        self._scaler_state: dict[str, Any] | None = None
        self._buffers = [local_part(buffer) for buffer in module.buffers()]
        self._kept = [buffer.detach().clone() for buffer in self._buffers]

    @property
    def has_buffers(self) -> bool:
        """Whether there is anything for `keep_buffers` to do."""
        return bool(self._buffers)

    @torch.no_grad()
    def keep_buffers(self) -> None:
        """Call it before the first forward pass of a step."""
        if self._buffers:
            torch._foreach_copy_(self._kept, self._buffers)

    @torch.no_grad()
    def skip(self, parameters: Iterable[Tensor]) -> None:
        """Call it after backward, before the optimizer takes its step."""
        for parameter in parameters:
            parameter.grad = None
        if self._buffers:
            torch._foreach_copy_(self._buffers, self._kept)
        if not self._frequencies:
            self._frequencies = [config.frequency for config in self._schedules]
            for config in self._schedules:
                config.frequency = _NEVER  # not due at this step, as at steps that the frequency leaves out
        self._scaler_state = self._plugin.state_dict()

    def release_scaler(self) -> None:
        """Call it once the step is over, before the next one."""
        if self._scaler_state:
            self._plugin.load_state_dict(self._scaler_state)
        self._scaler_state = None

    def release_schedules(self) -> None:
        """Call it when Lightning has had its chance to step the schedules."""
        for config, frequency in zip(self._schedules, self._frequencies, strict=False):
            config.frequency = frequency
        self._frequencies = []
