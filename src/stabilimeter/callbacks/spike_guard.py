"""`SpikeGuard`: decides, before the optimizer takes a step, whether it should."""

import os
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from stabilimeter.callbacks.capture.micro_batches import MicroBatchLoss, without_loss_scale
from stabilimeter.callbacks.clock import step_in_progress
from stabilimeter.callbacks.guard.gauge import Gauge
from stabilimeter.callbacks.guard.hold import Hold
from stabilimeter.callbacks.guard.judge import Judge
from stabilimeter.callbacks.guard.ladder import Budget, Ladder, Rung, climbed
from stabilimeter.callbacks.guard.report import Report
from stabilimeter.callbacks.guard.requirements import check_supported, rewindable_loader, skipping_loader
from stabilimeter.callbacks.guard.samples import DrawnSamples
from stabilimeter.callbacks.guard.snapshot import Snapshot, Snapshots
from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.callbacks.recording.run_folder import run_folder
from stabilimeter.stats.detection import ALARM_RATE
from stabilimeter.stats.incident import Incident


class SpikeGuard(Callback):
    """Keeps a bad step out of the weights.

    Before every optimizer step the loss and the logarithm of the gradient norm (accumulated, unscaled, not yet
    clipped) are judged by `stabilimeter.stats.detection`. If either is far out of the ordinary, or not finite, the
    guard climbs a ladder, as far as ``action`` allows:

    - ``"warn"`` says so. Nothing is read from the device at the step; values are read in blocks.
    - ``"skip"`` does not take the step. Parameters, buffers, optimizer state, step-wise learning-rate schedules and
      gradient scaler stay as they are, bit for bit; ``global_step`` goes on. With manual optimization schedules are
      your own business.
    - ``"rollback"``, once more than ``max_skips`` of the last ``cooldown_steps`` steps have been skipped: back to the
      last healthy state in memory. If the training loader has a `SkippingSampler`, the data go back with it, without
      the batches of steps that were not taken; a second rollback to the same state, and every one with another
      sampler, goes on with the next batch instead, so that those in between are passed over.
    - ``"stop"``, once ``max_rollbacks`` are used up: the fit ends in the regular way, and `stop_reason` says why.

    Where the last rung is used up, finite steps are let through and non-finite ones skipped. A gradient norm that keeps
    being large while the loss is ordinary is never answered by more than a skip.

    All ranks judge the same numbers, the largest loss of any rank and the norm of the whole gradient, so all decide
    alike. An overflow that a gradient scaler handles by itself is left to it.

    Works with accumulation, ``bf16-mixed`` and ``16-mixed``, several optimizers and manual optimization, on a single
    device, under DDP and FSDP2. Refused at the start: other strategies, LBFGS, fused optimizers with a gradient scaler.

    Args:
        action: The highest rung.
        max_skips: Steps that may be skipped within ``cooldown_steps`` before the next rung.
        max_rollbacks: Rollbacks in the whole run before the next rung.
        cooldown_steps: A skip counts for this many optimizer steps.
        snapshot_every_n_steps: For a rollback, copy the state of training to host memory every so many steps. Two
            copies of module and optimizers are kept. A copy counts as healthy once as many steps have followed without
            a flagged one; until the first has, the state in which this process started training counts.
        alarm_rate: Chance, at most, of flagging an ordinary value; of each of the two series at each step.
        read_every_n_steps: With ``"warn"``: read the device every so many steps.
        skip_list: File to which the samples of steps that were not taken are added, for a `SkippingSampler`.
        dirpath: Folder of the run, if `StabilityMonitor` was given one.

    Attributes:
        stop_reason: Why the guard ended the fit; None if it did not.

    Raises:
        ValueError: If an argument is not one of the above.
    """

    # Lightning dispatches every hook that can be called, at 12 us each; these run at every batch.
    on_train_batch_start = None  # type: ignore[assignment]
    on_after_backward = None  # type: ignore[assignment]
    on_before_zero_grad = None  # type: ignore[assignment]
    on_validation_batch_start = None  # type: ignore[assignment]
    on_validation_batch_end = None  # type: ignore[assignment]

    def __init__(
        self,
        action: str = "skip",
        max_skips: int = 5,
        max_rollbacks: int = 10,
        cooldown_steps: int = 100,
        snapshot_every_n_steps: int = 50,
        alarm_rate: float = ALARM_RATE,
        read_every_n_steps: int = 50,
        skip_list: str | os.PathLike[str] | None = None,
        dirpath: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__()
        rungs = [rung.value for rung in Rung]
        if action not in rungs:
            raise ValueError(f"action must be one of {rungs}, got {action!r}")
        for name, number, least in (
            ("max_skips", max_skips, 0),
            ("max_rollbacks", max_rollbacks, 0),
            ("cooldown_steps", cooldown_steps, 1),
            ("snapshot_every_n_steps", snapshot_every_n_steps, 1),
            ("read_every_n_steps", read_every_n_steps, 1),
        ):
            if not isinstance(number, int) or number < least:
                raise ValueError(f"{name} must be a whole number, at least {least}, got {number!r}")
        Judge(alarm_rate, "")
        if skip_list is not None and action == Rung.WARN:
            raise ValueError("skip_list needs an action beyond 'warn': it lists the samples of steps not taken")
        self._budget = Budget(Rung(action), max_skips, max_rollbacks, cooldown_steps)
        self._snapshot_every_n_steps = snapshot_every_n_steps
        self._alarm_rate = alarm_rate
        self._read_every_n_steps = read_every_n_steps if action == Rung.WARN else 1
        self._skip_list = skip_list
        self._dirpath = dirpath
        self._folder: Any = None
        self._state: dict[str, Any] = {}
        self._is_guarding = False
        self._report = Report(None, False)
        self.stop_reason: str | None = None

    @property
    def actions(self) -> tuple[Incident, ...]:
        """The last 100 actions of this fit: the value seen, what was expected, and in the evidence what was done."""
        return tuple(self._report.actions)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Find the record, if a `StabilityMonitor` keeps one."""
        self._folder = None
        monitored = any(isinstance(callback, StabilityMonitor) for callback in trainer.callbacks)  # type: ignore[attr-defined]
        if stage == "fit" and monitored and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self._folder = run_folder(trainer, self._dirpath)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse what cannot be guarded, and get ready."""
        check_supported(trainer)
        loader = rewindable_loader(trainer) if self._may_roll_back else None
        if self._skip_list is not None:
            loader = skipping_loader(trainer, self._skip_list)
        alone = len(trainer.optimizers) == 1
        suffixes = ["" if alone else f"/optimizer_{i}" for i in range(len(trainer.optimizers))]
        self._index = {id(optimizer): i for i, optimizer in enumerate(trainer.optimizers)}
        self._gauges = [Gauge(optimizer, trainer.strategy, trainer.world_size) for optimizer in trainer.optimizers]
        self._judges = [Judge(self._alarm_rate, suffix) for suffix in suffixes]
        self._micro_batches = MicroBatchLoss()
        self._hold = Hold(trainer, pl_module)
        self._drawn = DrawnSamples(loader)
        self._ladder = Ladder()
        self._last_flagged: int | None = None
        self._last_restored: int | None = None
        self._unread: list[tuple[int, int, bool, bool, Tensor]] = []
        self._report = Report(self._folder, trainer.is_global_zero)
        self._trainer = trainer
        self._is_at_step_start = True
        self._is_rollback_due = False
        self.stop_reason = None
        if self._state and self._state["step"] == trainer.global_step:
            self._resume(self._state)
        self._state = {}
        self._interval = trainer.global_step // self._snapshot_every_n_steps
        self._snapshots = Snapshots(self._snapshot(pl_module)) if self._may_roll_back else None
        if self._budget.highest is not Rung.WARN and (self._hold.has_buffers or loader is not None):
            self.on_train_batch_start = self._on_train_batch_start
        self._is_guarding = True

    @property
    def _may_roll_back(self) -> bool:
        return self._budget.highest in (Rung.ROLLBACK, Rung.STOP) and self._budget.max_rollbacks > 0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The sampler begins anew."""
        if self._is_guarding:
            self._drawn.begin_epoch()

    def _on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Before the first forward pass of a step, keep what it will change."""
        if self._is_at_step_start:
            self._hold.keep_buffers()
            self._drawn.begin_step()
            self._is_at_step_start = False
        self._drawn.count_batch()

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Take the loss of a micro-batch."""
        self._hold.release_schedules()
        divided_by = trainer.accumulate_grad_batches if pl_module.automatic_optimization else 1
        self._micro_batches.add(without_loss_scale(loss.detach(), trainer.precision_plugin), divided_by=divided_by)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Judge the step; gradients are accumulated and unscaled, not yet clipped (unless your own code clips)."""
        self._is_at_step_start = True
        self._hold.release_schedules()
        self._hold.release_scaler()
        loss = self._micro_batches.take()
        index = self._index.get(id(optimizer))
        if index is None:
            return
        measured, has_gradients = self._gauges[index].measured(loss)
        if measured is None:
            return
        self._unread.append((index, step_in_progress(trainer), loss is not None, has_gradients, measured))
        if len(self._unread) >= self._read_every_n_steps:
            self._read()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Go back, or keep the state that has been reached."""
        self._hold.release_scaler()
        if self._snapshots is None:
            return
        interval = trainer.global_step // self._snapshot_every_n_steps
        if self._is_rollback_due:
            self._is_rollback_due = False
            self._roll_back(self._snapshots, pl_module)
        elif interval != self._interval:
            calm = all(judge.is_calm for judge in self._judges)
            self._snapshots.add(self._snapshot(pl_module) if calm else None, self._last_flagged)
        self._interval = interval

    def _read(self) -> None:
        unread, self._unread = self._unread, []
        values = torch.stack([measured for *_, measured in unread]).tolist()  # the one read of the device
        for (index, step, has_loss, has_gradients, _), (loss, norm) in zip(unread, values, strict=True):
            if not isfinite(norm) and getattr(self._trainer.precision_plugin, "scaler", None) is not None:
                has_gradients = False  # the scaler leaves the step out and lowers its scale
            seen = {"loss": loss if has_loss else None, "norm": norm if has_gradients else None}
            findings = self._judges[index].findings(step, **seen)
            if findings:
                self._act(index, step, findings, seen)

    def _act(self, index: int, step: int, findings: Sequence[Incident], seen: Mapping[str, float | None]) -> None:
        self._last_flagged = step
        self._ladder, rung = climbed(
            self._ladder,
            self._budget,
            step,
            loss_is_bad=any(self._judges[index].is_loss(finding) for finding in findings),
            finite=all(isfinite(finding.value) for finding in findings),
        )
        evidence: dict[str, Any] = {**seen, "flagged": [finding.key for finding in findings]}
        if rung is not Rung.WARN:
            self._hold.skip(self._gauges[index].parameters)
            evidence |= self._drawn.leave_out(self._skip_list, self._trainer)
        if rung is Rung.ROLLBACK and self._snapshots is not None:
            self._is_rollback_due = True
            evidence["restored_step"] = self._snapshots.healthy.step
            if self._draws_again(self._snapshots):
                evidence["batches_again"] = len(self._drawn.since(self._snapshots.healthy.position))
        sentence = self._report.enter(findings[0], rung, evidence)
        if rung is Rung.STOP:
            self.stop_reason = f"SpikeGuard: {sentence}"
            self._trainer.should_stop = True

    def _roll_back(self, snapshots: Snapshots, module: LightningModule) -> None:
        healthy = snapshots.healthy
        for judge, saved in zip(self._judges, healthy.restore(self._trainer, module), strict=True):
            judge.load_state_dict(saved)
        if self._draws_again(snapshots):
            self._drawn.go_back(healthy.position)
        self._last_restored = healthy.step
        snapshots.drop_candidate()
        self._micro_batches = MicroBatchLoss()

    def _draws_again(self, snapshots: Snapshots) -> bool:
        """Whether the data go back as well: the same data a second time would lead from this state to this place."""
        return self._drawn.can_go_back and snapshots.healthy.step != self._last_restored

    def _snapshot(self, module: LightningModule) -> Snapshot:
        judges = [judge.state_dict() for judge in self._judges]
        return Snapshot(self._trainer, module, self._drawn.position, judges)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain Python. Snapshots are not part of it: they would triple the size of a checkpoint."""
        return self._present_state() if self._is_guarding else self._state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state until training starts."""
        self._state = state_dict

    def _present_state(self) -> dict[str, Any]:
        return {
            "step": self._trainer.global_step,
            "judges": [judge.state_dict() for judge in self._judges],
            "ladder": self._ladder.plain(),
            "last_flagged": self._last_flagged,
            "micro_batches": self._micro_batches.state_dict(),
            "unread": [list(item) for item in self._unread],
        }

    def _resume(self, state: dict[str, Any]) -> None:
        for judge, saved in zip(self._judges, state["judges"], strict=True):
            judge.load_state_dict(saved)
        self._ladder = Ladder.from_plain(state["ladder"])
        self._last_flagged = state["last_flagged"]
        self._micro_batches.load_state_dict(state["micro_batches"])
        self._unread = [tuple(item) for item in state["unread"]]

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Read what is left."""
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Read what is left, and leave the Trainer as it was found."""
        self._close()

    def _close(self) -> None:
        if not self._is_guarding:
            return
        if self._unread:
            self._read()
        self._report.close()
        self._hold.release_schedules()
        self._hold.release_scaler()
        self._state = self._present_state()
        self._is_guarding = False
        self._snapshots = None
        self.on_train_batch_start = None
