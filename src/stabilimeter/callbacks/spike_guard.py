"""`SpikeGuard`: decides, before the optimizer takes a step, whether it should."""

import os
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from stabilimeter.callbacks.clock import step_in_progress
from stabilimeter.callbacks.guard.hold import Hold
from stabilimeter.callbacks.guard.judge import Finding, Judge
from stabilimeter.callbacks.guard.ladder import Budget, Ladder, Rung, Trouble, climbed
from stabilimeter.callbacks.guard.panel import Panel, Verdict
from stabilimeter.callbacks.guard.report import Report
from stabilimeter.callbacks.guard.requirements import check_supported, rewindable_loader, skipping_loader
from stabilimeter.callbacks.guard.samples import DrawnSamples
from stabilimeter.callbacks.guard.way_back import WayBack
from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.callbacks.recording.run_folder import run_folder
from stabilimeter.stats.detection import ALARM_RATE
from stabilimeter.stats.incident import Incident
from stabilimeter.stats.rate_jump import RATE_JUMP


class SpikeGuard(Callback):
    """Keeps a bad step out of the weights, and undoes a turn for the worse that no single step shows.

    Before every optimizer step the loss and the logarithm of the gradient norm (accumulated, unscaled, not yet
    clipped) are judged by `stabilimeter.stats.detection`. If a value is far out of the ordinary, or not finite, the
    step is flagged. If the loss has been turning for the worse within its noise, by two noise widths or more, that is a
    slow turn, with an onset estimated some steps back. The guard climbs a ladder, as far as ``action`` allows:

    - ``"warn"`` says so. Nothing is read from the device at the step; values are read in blocks.
    - ``"skip"`` does not take a flagged step. Parameters, buffers, optimizer state, step-wise learning-rate schedules
      and gradient scaler stay as they are, bit for bit; ``global_step`` goes on. With manual optimization schedules are
      your own business. No skip undoes a slow turn, which is in the weights already: it is warned of.
    - ``"rollback"``, at a slow turn, or once more than ``max_skips`` of the last ``cooldown_steps`` steps have been
      skipped: back to the last state in memory that had proved healthy before the onset. If the training loader has a
      `SkippingSampler`, the data go back with it, without the batches since the onset and those of steps that were not
      taken; a second rollback to the same state, and every one with another sampler, goes on with the next batch
      instead, so that those in between are passed over.
    - ``"stop"``, once ``max_rollbacks`` are used up, or where trouble is older than every state in memory: the fit ends
      in the regular way, and `stop_reason` says why.

    Where the last rung is used up, finite steps are let through and non-finite ones skipped. A gradient norm that keeps
    being large while the loss is ordinary is never answered by more than a skip. A slow turn right after the learning
    rate was raised by half or more is only warned of.

    All ranks judge the same numbers, the largest loss of any rank and the norm of the whole gradient, so all decide
    alike. An overflow that a gradient scaler handles by itself is left to it.

    Works with accumulation, ``bf16-mixed`` and ``16-mixed``, several optimizers and manual optimization, on a single
    device, under DDP and FSDP2. Refused at the start: other strategies, LBFGS, fused optimizers with a gradient scaler.

    Args:
        action: The highest rung.
        max_skips: Steps that may be skipped within ``cooldown_steps`` before the next rung.
        max_rollbacks: Rollbacks within ``100 * cooldown_steps`` before the next rung.
        cooldown_steps: A skip counts for this many optimizer steps, a rollback for a hundred times as many.
        snapshot_every_n_steps: For a rollback, copy the state of training to host memory every so many steps. A copy
            counts as healthy once as many steps have followed without trouble; until the first has, the state in which
            this process started training counts.
        num_snapshots: Copies of module and optimizers that each process keeps, the one on trial included; at least 2.
            A slow turn can be undone if it is noticed within ``num_snapshots - 2`` intervals of its onset.
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
        num_snapshots: int = 4,
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
            ("num_snapshots", num_snapshots, 2),
            ("read_every_n_steps", read_every_n_steps, 1),
        ):
            if not isinstance(number, int) or number < least:
                raise ValueError(f"{name} must be a whole number, at least {least}, got {number!r}")
        Judge(alarm_rate, "")
        if skip_list is not None and action == Rung.WARN:
            raise ValueError("skip_list needs an action beyond 'warn': it lists the samples of steps not taken")
        self._budget = Budget(Rung(action), max_skips, max_rollbacks, cooldown_steps)
        self._snapshot_every_n_steps = snapshot_every_n_steps
        self._num_snapshots = num_snapshots
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
        highest = self._budget.highest
        may_roll_back = highest in (Rung.ROLLBACK, Rung.STOP) and self._budget.max_rollbacks > 0
        loader = rewindable_loader(trainer) if may_roll_back else None
        if self._skip_list is not None:
            loader = skipping_loader(trainer, self._skip_list)
        self._trainer = trainer
        self._panel = Panel(trainer, self._alarm_rate, self._read_every_n_steps)
        self._hold = Hold(trainer, pl_module)
        self._drawn = DrawnSamples(loader)
        self._ladder = Ladder()
        self._report = Report(self._folder, trainer.is_global_zero)
        self._is_at_step_start = True
        self.stop_reason = None
        if self._state and self._state["step"] == trainer.global_step:
            self._panel.load_state_dict(self._state["panel"])
            self._ladder = Ladder.from_plain(self._state["ladder"])
        self._state = {}
        self._way_back = None
        if may_roll_back:
            self._way_back = WayBack(
                trainer, pl_module, self._panel, self._drawn, self._snapshot_every_n_steps, self._num_snapshots
            )
        if highest is not Rung.WARN and (self._hold.has_buffers or loader is not None):
            self.on_train_batch_start = self._on_train_batch_start
        self._is_guarding = True

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The sampler begins anew."""
        if self._is_guarding:
            self._drawn.begin_epoch()

    def _on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Before the first forward pass of a step, keep what it will change."""
        if self._is_at_step_start:
            self._hold.keep_buffers()
            self._drawn.begin_step(step_in_progress(trainer))
            self._is_at_step_start = False
        self._drawn.count_batch()

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Take the loss of a micro-batch."""
        self._hold.release_schedules()
        self._panel.add_loss(pl_module, loss)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Judge the step; gradients are accumulated and unscaled, not yet clipped (unless your own code clips)."""
        self._is_at_step_start = True
        self._hold.release_schedules()
        self._hold.release_scaler()
        self._panel.measure(optimizer)
        self._answer()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Go back, or keep the state that has been reached."""
        self._hold.release_scaler()
        if self._way_back is not None:
            self._way_back.end_batch()

    def _answer(self, *, at_once: bool = False) -> None:
        for verdict in self._panel.verdicts(at_once=at_once):
            onset = self._panel.onset
            if onset is not None and self._way_back is not None:
                self._way_back.doubt(onset)
            for finding in verdict.findings:
                if self._act(verdict, finding) is not Rung.WARN:
                    break

    def _act(self, verdict: Verdict, finding: Finding) -> Rung:
        (incident, trouble), step, rung = finding, verdict.step, Rung.WARN
        if RATE_JUMP not in incident.evidence:  # or else the turn was deliberate
            can_go_back = self._way_back is not None and self._way_back.is_open
            self._ladder, rung = climbed(self._ladder, self._budget, step, trouble, can_go_back=can_go_back)
        evidence: dict[str, Any] = dict(verdict.seen)
        if rung is not Rung.WARN:
            self._hold.skip(self._panel.parameters(verdict.optimizer))
            if trouble is not Trouble.TURN:
                evidence |= self._drawn.leave_out(self._skip_list, self._trainer)
        if rung is Rung.ROLLBACK and self._way_back is not None:
            onset = self._panel.onset
            evidence |= self._way_back.plan(step if onset is None else onset)
        sentence = self._report.enter(incident, rung, evidence)
        if rung is Rung.STOP:
            self.stop_reason = f"SpikeGuard: {sentence}"
            self._trainer.should_stop = True
        return rung

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain Python. Snapshots are not part of it: they would triple the size of a checkpoint."""
        return self._present_state() if self._is_guarding else self._state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state until training starts."""
        self._state = state_dict

    def _present_state(self) -> dict[str, Any]:
        return {
            "step": self._trainer.global_step,
            "panel": self._panel.state_dict(),
            "ladder": self._ladder.plain(),
        }

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Read what is left."""
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Read what is left, and leave the Trainer as it was found."""
        self._close()

    def _close(self) -> None:
        if not self._is_guarding:
            return
        self._answer(at_once=True)
        self._report.close()
        self._hold.release_schedules()
        self._hold.release_scaler()
        self._state = self._present_state()
        self._is_guarding = False
        self._way_back = None
        self.on_train_batch_start = None
