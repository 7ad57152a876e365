"""Every optimizer step measured on the device, read in blocks, and judged."""

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from stabilimeter.callbacks.capture.micro_batches import MicroBatchLoss, without_loss_scale
from stabilimeter.callbacks.clock import step_in_progress
from stabilimeter.callbacks.guard.gauge import Gauge
from stabilimeter.callbacks.guard.judge import Finding, Judge


class Verdict(NamedTuple):
    """What is known of one step.

    Attributes:
        optimizer: Which of the optimizers takes it.
        step: Its number.
        seen: Its loss and gradient norm; None where there is none.
        findings: What is out of the ordinary.
    """

    optimizer: int
    step: int
    seen: Mapping[str, float | None]
    findings: list[Finding]


class _Measured(NamedTuple):
    optimizer: int
    step: int
    learning_rate: float | None
    has_loss: bool
    has_gradients: bool
    values: Tensor


class Panel:
    """A gauge and a judge for each optimizer. All ranks read the same numbers, so all of them judge alike.

    Args:
        trainer: The Trainer.
        alarm_rate: Chance, at most, of flagging an ordinary value.
        read_every_n_steps: How many measured steps are read from the device at once.
    """

    def __init__(self, trainer: Trainer, alarm_rate: float, read_every_n_steps: int) -> None:
        self._trainer = trainer
        self._read_every_n_steps = read_every_n_steps
        optimizers = trainer.optimizers
        suffixes = [""] if len(optimizers) == 1 else [f"/optimizer_{i}" for i in range(len(optimizers))]
        self._index = {id(optimizer): i for i, optimizer in enumerate(optimizers)}
        self._gauges = [Gauge(optimizer, trainer.strategy, trainer.world_size) for optimizer in optimizers]
        self._judges = [Judge(alarm_rate, suffix) for suffix in suffixes]
        self._micro_batches = MicroBatchLoss()
        self._unread: list[_Measured] = []

    @property
    def onset(self) -> int | None:
        """First step of what is out of the ordinary now, of any optimizer; None if nothing is."""
        return min((judge.onset for judge in self._judges if judge.onset is not None), default=None)

    def parameters(self, optimizer: int) -> Sequence[Tensor]:
        """The parameters of one optimizer."""
        return self._gauges[optimizer].parameters

    def add_loss(self, module: LightningModule, loss: Tensor) -> None:
        """The loss of a micro-batch, as hooks see it."""
        divided_by = self._trainer.accumulate_grad_batches if module.automatic_optimization else 1
        unscaled = without_loss_scale(loss.detach(), self._trainer.precision_plugin).clone()
        self._micro_batches.add(unscaled, divided_by=divided_by)

    def measure(self, optimizer: Optimizer) -> None:
        """A step is about to be taken: measure its loss and gradients on the device."""
        loss = self._micro_batches.take()
        index = self._index.get(id(optimizer))
        if index is None:
            return
        values, has_gradients = self._gauges[index].measured(loss)
        if values is not None:
            rate, step = _learning_rate(optimizer), step_in_progress(self._trainer)
            self._unread.append(_Measured(index, step, rate, loss is not None, has_gradients, values))

    def verdicts(self, *, at_once: bool = False) -> Iterator[Verdict]:
        """Judge the steps that were measured, if a block is full or ``at_once``: one read of the device."""
        if not self._unread or (len(self._unread) < self._read_every_n_steps and not at_once):
            return
        unread, self._unread = self._unread, []
        read = torch.stack([measured.values for measured in unread]).tolist()
        has_scaler = getattr(self._trainer.precision_plugin, "scaler", None) is not None
        for measured, (loss, norm) in zip(unread, read, strict=True):
            left_to_scaler = has_scaler and not isfinite(norm)  # it leaves the step out and lowers its scale
            seen = {
                "loss": loss if measured.has_loss else None,
                "norm": norm if measured.has_gradients and not left_to_scaler else None,
            }
            judge = self._judges[measured.optimizer]
            findings = judge.findings(measured.step, **seen, learning_rate=measured.learning_rate)
            yield Verdict(measured.optimizer, measured.step, seen, findings)

    def learnt(self) -> list[dict[str, Any]]:
        """What the judges know, for `go_back`."""
        return [judge.state_dict() for judge in self._judges]

    def go_back(self, learnt: Sequence[Mapping[str, Any]], step: int) -> None:
        """Go on from `learnt`, in a state that has proved healthy since; ``step`` is the next one."""
        self._micro_batches = MicroBatchLoss()
        for judge, saved in zip(self._judges, learnt, strict=True):
            judge.load_state_dict(saved, step)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain Python."""
        return {
            "judges": self.learnt(),
            "micro_batches": self._micro_batches.state_dict(),
            "unread": [list(measured) for measured in self._unread],
        }

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        for judge, learnt in zip(self._judges, saved["judges"], strict=True):
            judge.load_state_dict(learnt)
        self._micro_batches.load_state_dict(saved["micro_batches"])
        self._unread = [_Measured(*measured) for measured in saved["unread"]]


def _learning_rate(optimizer: Optimizer) -> float | None:
    """Of the first parameter group; None where reading it would wait for the device."""
    rate = optimizer.param_groups[0].get("lr")
    return None if rate is None or isinstance(rate, Tensor) else float(rate)
