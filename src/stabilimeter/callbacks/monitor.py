"""`StabilityMonitor`: one line in ``Trainer(callbacks=[...])`` gives a run signals, incidents and a record."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor
from torch.optim import Optimizer

from stabilimeter.callbacks.capture.instruments import Instruments
from stabilimeter.callbacks.capture.own_cost import OwnCost, charged
from stabilimeter.callbacks.capture.signal import AnySignal, DerivedSignal, Signal
from stabilimeter.callbacks.catalogue import chosen_signals
from stabilimeter.callbacks.clock import last_step_done
from stabilimeter.callbacks.recording.evaluations import Evaluations
from stabilimeter.callbacks.recording.flush_schedule import FlushSchedule
from stabilimeter.callbacks.recording.journal import Journal
from stabilimeter.callbacks.recording.monitored_signals import MonitoredSignals
from stabilimeter.callbacks.recording.opening import Settings, courses, opened_instruments, opened_journal
from stabilimeter.callbacks.recording.outlook import ending, planned_steps
from stabilimeter.callbacks.recording.run_folder import check_writable, run_folder
from stabilimeter.records.manifest import RunStatus

_SIGN_OF_LIFE_S = 5.0
"""A record without any for a minute counts as dead on other hosts."""


class StabilityMonitor(Callback):
    """Measures a training run without slowing it down, and records it for ``stabilimeter summarize``.

    At every optimizer step: loss (undivided under accumulation), its rolling variance and noise, gradient norm before
    and after clipping, how often clipping bites, learning rate, step time. Every few steps: size of the update and its
    ratio to the weights, gradient norm of each parameter. After every evaluation: the metrics that `self.log` has
    updated. Nothing is read back from the device before a flush, weights and random states are those of an unmonitored
    run.

    The record goes to ``<folder>/stability``: a TensorBoard run, a manifest, incidents. The Trainer's other loggers get
    the same signals, in blocks. With ``fast_dev_run`` everything is measured and nothing is kept.

    `EarlyStopping`, `ModelCheckpoint` and learning-rate schedulers may monitor a signal: at an evaluation, and at the
    end of an epoch, they find the value of the last step there, in between that of the last flush. Derived signals
    (``train/loss_var``) can be monitored with one rank only.

    With several optimizers every key ends in ``/optimizer_<index>``, and a step is one step of one of them.

    Args:
        signals: What to measure: names of groups (``["default", "noise_scale"]``, see `catalogue.py`), signals, or
            both; None for ``["default"]``.
        per_layer: Also record vectors with one number per parameter tensor.
        flush_every_n_steps: Copy measurements to the host, look for incidents and write, every so many steps; None for
            every five seconds (and 1000 steps), or every 50 steps with several ranks or where a signal is monitored.
        strided_every_n_steps: Measure what takes a pass over all parameters (size of the update, norm per parameter) at
            every so many steps of an optimizer.
        dirpath: Folder of the run; None for that of its logger, else ``default_root_dir``; inside a Hydra job always
            a folder of the job.
        group: Key that runs share which differ in the seed only; None for a hash of the configuration without seed.
        seed: The seed; None for that of ``seed_everything``.
        monitor: The metric that decides; None for that of the Trainer's checkpoint or early stopping.
        mode: ``"min"`` or ``"max"``, for ``monitor``.

    Raises:
        ValueError: If an argument is not one of the above.
    """

    # Lightning dispatches every hook that can be called, at 12 us each; these run at every batch.
    on_train_batch_start = None  # type: ignore[assignment]
    on_before_backward = None  # type: ignore[assignment]
    on_after_backward = None  # type: ignore[assignment]
    on_before_zero_grad = None  # type: ignore[assignment]
    on_validation_batch_start = None  # type: ignore[assignment]

    def __init__(
        self,
        signals: Sequence[AnySignal | str] | None = None,
        per_layer: bool = True,
        flush_every_n_steps: int | None = None,
        strided_every_n_steps: int = 20,
        dirpath: str | os.PathLike[str] | None = None,
        group: str | None = None,
        seed: int | None = None,
        monitor: str | None = None,
        mode: str | None = None,
    ) -> None:
        super().__init__()
        chosen = chosen_signals(signals)
        _check(chosen, flush_every_n_steps, strided_every_n_steps, monitor, mode)
        if not per_layer:
            chosen = tuple(signal for signal in chosen if isinstance(signal, DerivedSignal) or not signal.vector)
        self._settings = Settings(
            chosen, strided_every_n_steps, flush_every_n_steps, dirpath, group, seed, monitor, mode
        )
        keys = [signal.spec.key for signal in chosen]
        self._state_key = self._generate_state_key(dirpath=None if dirpath is None else str(dirpath), signals=keys)
        self.cost = OwnCost()
        self._folder: Path | None = None
        self._instruments: Instruments | None = None
        self._journal: Journal | None = None
        self._evaluations = Evaluations(reserved=())
        self._monitored: MonitoredSignals | None = None
        self._schedule = FlushSchedule(flush_every_n_steps, by_clock=False)
        self._planned_steps: int | None = None
        self._state: dict[str, Any] = {}
        self._trainer: Any = None
        self._next_sign_of_life = 0.0

    @property
    def state_key(self) -> str:
        """Tells the states of two monitors of one Trainer apart. Lightning asks for it at every hook."""
        return self._state_key

    # Opening

    def setup(self, trainer: Any, pl_module: LightningModule, stage: str) -> None:
        """Find a folder for the record, and whether it can be written to, before anything is trained."""
        self._folder = None
        if stage == "fit" and not trainer.fast_dev_run:
            self._folder = run_folder(trainer, self._settings.dirpath)
            if trainer.is_global_zero:
                check_writable(self._folder)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the record, now that a checkpoint has been restored, and attach to optimizers and clipping."""
        found = courses(trainer, pl_module, self._settings.signals)
        self._trainer = trainer
        self.cost = OwnCost()
        self._planned_steps = planned_steps(trainer, pl_module)
        keys = [spec.key for course in found for spec in course.specs]
        self._evaluations = Evaluations(reserved=keys)
        self._monitored = MonitoredSignals(trainer, keys) or None
        alone = trainer.world_size == 1 and self._monitored is None
        self._schedule = FlushSchedule(self._settings.flush_every_n_steps, by_clock=alone)
        self._instruments = opened_instruments(trainer, pl_module, found, self._settings, self.cost)
        self._instruments.pause()
        if trainer.is_global_zero:
            self._journal = opened_journal(trainer, pl_module, found, self._settings, self._folder)
        if not pl_module.automatic_optimization:
            self.on_before_backward = self._on_before_backward
        if self._instruments.clipping_brings_gradients:
            self.on_before_optimizer_step = None  # type: ignore[assignment, method-assign]
        if trainer.global_step and self._state.get("step") == trainer.global_step:
            self._instruments.load_state_dict(self._state["instruments"])
            if self._journal is not None and "journal" in self._state:
                self._journal.load_state_dict(self._state["journal"])
        self._state = {}

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Catch what the module has logged in its own ``on_train_epoch_end``."""
        self._enter_metrics(trainer, self._evaluations.new_metrics(trainer))
        if self._instruments is not None:
            self._instruments.begin_epoch()
            self._instruments.pause()

    # Steps

    def _on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Take the loss, in manual optimization; otherwise ``on_train_batch_end`` brings it."""
        if self._instruments is not None:
            self._instruments.before_backward(loss)

    @charged
    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Measure the gradients: accumulated, unscaled, not yet clipped."""
        if self._instruments is not None:
            self._instruments.before_step(optimizer)

    @charged
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take the loss, and now and then flush."""
        if self._instruments is None:
            return
        self._instruments.end_batch(outputs, batch_idx)
        if self._schedule.is_due(len(self._instruments)):
            self._flush(combine=True)
        else:
            self._show_alive()

    # Evaluations

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note which metrics are old."""
        if self._instruments is not None:
            if self._monitored is not None:
                self._flush(combine=True)
            self._evaluations.mark(trainer)

    def on_validation_batch_end(self, *_: Any, **__: Any) -> None:
        """Show that the run is alive."""
        self._show_alive()

    @charged
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the metrics of this validation."""
        if self._instruments is not None:
            self._enter_metrics(trainer, self._evaluations.new_metrics(trainer))
            self._instruments.pause()

    def note(self, step: int, scalars: Mapping[str, float], text: str | None, tag: str) -> bool:
        """Add to the record what another callback has found; False on ranks and at times without a record."""
        if self._journal is None:
            return False
        self._journal.enter_note(step, scalars, text, tag)
        return True

    @charged
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the metrics accumulated over this epoch."""
        if self._monitored is not None:
            self._flush(combine=True)
        self._enter_metrics(trainer, self._evaluations.epoch_metrics(trainer))

    # Checkpoints

    @charged
    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain Python; what was measured so far is written first, so that a resumed record has no gap."""
        if self._instruments is not None:
            self._flush(combine=True)
            self._state = self._present_state()
        return self._state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state until training starts."""
        self._state = state_dict

    # Closing

    @charged
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Flush while all ranks are still there."""
        if self._instruments is not None:
            self._enter_metrics(trainer, self._evaluations.new_metrics(trainer))
            self._flush(combine=True)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the end mark."""
        if self._instruments is not None:
            nonfinite = None if self._journal is None else self._journal.nonfinite_at_end()
            self._close(trainer, *ending(trainer, self._planned_steps, nonfinite))

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Keep what was measured, without the other ranks (they may be gone), and set the end mark."""
        if self._instruments is None:
            return
        if isinstance(exception, KeyboardInterrupt | SIGTERMException):
            status, reason = RunStatus.CANCELLED, type(exception).__name__
        else:
            status, reason = RunStatus.FAILED, f"{type(exception).__name__}: {exception}"
        try:
            self._instruments.remove()
            self._flush(combine=False)
        except RuntimeError as error:  # the device is gone
            reason += f" (the last measurements are lost: {error})"
        self._close(trainer, status, reason)

    def _show_alive(self) -> None:
        if self._journal is not None and time.monotonic() > self._next_sign_of_life:
            self._next_sign_of_life = time.monotonic() + _SIGN_OF_LIFE_S
            self._journal.heartbeat()

    def _enter_metrics(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        self.cost.host_reads += len(metrics)
        if self._journal is not None:
            self._journal.enter_metrics(last_step_done(trainer), metrics)

    def _flush(self, *, combine: bool) -> None:
        if self._instruments is None:
            return
        self._schedule.flushed()
        blocks = [(i, block) for i, block in enumerate(self._instruments.take(combine=combine)) if block is not None]
        if self._journal is not None:
            entered = [self._journal.enter_block(index, block) for index, block in blocks]
            self._journal.flush()
        if self._monitored is not None and self._trainer is not None:
            # only rank 0 derives signals, and ranks must not take different decisions
            alone = self._journal is not None and self._trainer.world_size == 1
            for block in entered if alone else [block for _, block in blocks]:
                self._monitored.publish(self._trainer, block)
        self._instruments.pause()

    def _present_state(self) -> dict[str, Any]:
        if self._instruments is None or self._trainer is None:
            return {}
        state = {"step": self._trainer.global_step, "instruments": self._instruments.state_dict()}
        return state if self._journal is None else {**state, "journal": self._journal.state_dict()}

    def _close(self, trainer: Trainer, status: RunStatus, reason: str | None) -> None:
        if self._instruments is not None:
            self._instruments.remove()
            self._state = self._present_state()
        if self._journal is not None:
            last_step = last_step_done(trainer) if trainer.global_step else None
            self._journal.close(status, reason, last_step, self.cost)
        self._instruments = self._journal = self._trainer = self._monitored = None
        self.on_before_backward = None
        self.__dict__.pop("on_before_optimizer_step", None)


def _check(
    signals: Sequence[AnySignal], flush_every: int | None, strided_every: int, monitor: str | None, mode: str | None
) -> None:
    for name, number in (
        ("flush_every_n_steps", 1 if flush_every is None else flush_every),
        ("strided_every_n_steps", strided_every),
    ):
        if not isinstance(number, int) or number < 1:
            raise ValueError(f"{name} must be a whole number of steps, at least 1, got {number!r}")
    if mode not in (None, "min", "max"):
        raise ValueError(f"mode must be 'min' or 'max', got {mode!r}")
    if (monitor is None) != (mode is None):
        raise ValueError(f"monitor and mode go together, got monitor={monitor!r} and mode={mode!r}")
    keys = [signal.spec.key for signal in signals]
    if len(set(keys)) != len(keys):
        raise ValueError(f"each signal once, got {keys}")
    for signal in signals:
        if isinstance(signal, DerivedSignal):
            missing = set(signal.sources) - {s.spec.key for s in signals if isinstance(s, Signal) and not s.vector}
            if missing:
                raise ValueError(f"{signal.spec.key} is derived from {sorted(missing)}: add it to signals")
