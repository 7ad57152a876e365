"""What a signal brings along when it must see more of the training than a `StepView` shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from stabilimeter.callbacks.capture.training_step_tap import TrainingStepTap


@dataclass(frozen=True)
class Site:
    """Where a probe is attached.

    Attributes:
        trainer: The Trainer, about to train.
        module: Its module.
        optimizer: The optimizer whose steps are measured.
        layers: Parameters of per-tensor vectors, in the order of their names.
        training_step: Where to stand around the module's `training_step`.
    """

    trainer: Trainer
    module: LightningModule
    optimizer: Any
    layers: Sequence[Tensor]
    training_step: TrainingStepTap


class Probe(Protocol):
    """Attached to one optimizer's training by its constructor, which gets a `Site`; once per optimizer and kind.

    Signals of one kind share it and find it by ``view.probe(kind)``. It must not read the device, and must leave
    weights, gradients, buffers and random states alone.
    """

    def prepare(self, *, stride_index: int | None) -> None:
        """The last step is over.

        Args:
            stride_index: How many times strided signals have been measured before the next step if they will be
                measured in it, counted from the beginning of the run; None if they will not.
        """

    def pause(self) -> None:
        """Time spent until now belongs to no step."""

    def remove(self) -> None:
        """Leave everything as it was found."""
