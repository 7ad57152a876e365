"""Signals that another callback or a scheduler monitors, put where these look: into ``trainer.callback_metrics``."""

from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from torch import Tensor

from stabilimeter.callbacks.capture.block import Block


class MonitoredSignals:
    """Those that `EarlyStopping`, `ModelCheckpoint`, or a learning-rate scheduler asks for by ``monitor``.

    A metric of the same name that the user logs stays the user's.

    Args:
        trainer: The Trainer, about to train.
        keys: Keys of scalar signals.
    """

    def __init__(self, trainer: Trainer, keys: Collection[str]) -> None:
        callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
        asked = {getattr(callback, "monitor", None) for callback in callbacks}
        asked |= {scheduler.monitor for scheduler in trainer.lr_scheduler_configs}
        self._keys = {key for key in keys if key in asked}
        self._published: dict[str, Tensor] = {}

    def __bool__(self) -> bool:
        return bool(self._keys)

    def publish(self, trainer: Trainer, block: Block) -> None:
        """The last value of each; no collective, no copy from the device."""
        for key in self._keys & set(block.keys):
            column = block.keys.index(key)
            rows = np.flatnonzero(block.measured[:, column])
            present = trainer.callback_metrics.get(key)
            if len(rows) and (present is None or present is self._published.get(key)):
                value = torch.tensor(block.values[rows[-1], column])
                self._published[key] = trainer.callback_metrics[key] = value
