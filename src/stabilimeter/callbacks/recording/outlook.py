"""What a Trainer intends: how many steps, which metric decides, and, at the end, why it stopped."""

import math
from collections.abc import Collection
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, GradientAccumulationScheduler, ModelCheckpoint

from stabilimeter.records.manifest import RunStatus


def _callbacks(trainer: Any) -> list[Callback]:
    """The Trainer sets its public attribute ``callbacks`` where a type checker does not see it."""
    return list(trainer.callbacks)


def planned_steps(trainer: Trainer, module: LightningModule) -> int | None:
    """Optimizer steps that the Trainer will do if nothing stops it; None if unbounded or up to the user's own loop."""
    if not module.automatic_optimization:
        return trainer.max_steps if trainer.max_steps >= 0 else None
    scheduler = next((c for c in _callbacks(trainer) if isinstance(c, GradientAccumulationScheduler)), None)
    steps = trainer.estimated_stepping_batches if scheduler is None else _scheduled_steps(trainer, scheduler)
    return int(steps) if math.isfinite(steps) and steps >= 0 else None


def _scheduled_steps(trainer: Trainer, scheduler: GradientAccumulationScheduler) -> float:
    """The Trainer's own estimate knows nothing of an accumulation that changes between epochs."""
    limit = trainer.max_steps if trainer.max_steps >= 0 else math.inf
    batches = trainer.num_training_batches
    if trainer.max_epochs is None or trainer.max_epochs < 0 or math.isinf(batches):
        return limit
    epochs = range(trainer.max_epochs)
    return min(sum(math.ceil(batches / scheduler.get_accumulate_grad_batches(e)) for e in epochs), limit)


def monitored_metric(trainer: Trainer, signals: Collection[str] = ()) -> tuple[str | None, str | None]:
    """Name and mode (``"min"`` or ``"max"``) of the metric that the Trainer's checkpoint or early stopping follows.

    Args:
        trainer: The Trainer.
        signals: Keys that do not count; one who stops at a large gradient norm does not train for a small one.
    """
    for kind in (ModelCheckpoint, EarlyStopping):
        for callback in _callbacks(trainer):
            if isinstance(callback, kind) and callback.monitor is not None and callback.monitor not in signals:
                return callback.monitor, callback.mode
    return None, None


def ending(trainer: Trainer, planned: int | None, nonfinite: str | None) -> tuple[RunStatus, str | None]:
    """How a fit that returned has ended, and why.

    Args:
        trainer: The Trainer.
        planned: Its planned steps.
        nonfinite: What is not finite at the end, in words; None if all is well.
    """
    for callback in _callbacks(trainer):
        given_up = getattr(callback, "stop_reason", None)  # set by a SpikeGuard that ended the fit
        if trainer.should_stop and isinstance(given_up, str):
            return RunStatus.DIVERGED, given_up
    if nonfinite is not None:
        return RunStatus.DIVERGED, nonfinite
    if trainer.should_stop and (planned is None or trainer.global_step < planned):
        for callback in _callbacks(trainer):
            if isinstance(callback, EarlyStopping) and callback.stopped_epoch:
                return RunStatus.STOPPED, f"early stopping on {callback.monitor}"
        return RunStatus.STOPPED, "trainer.should_stop was set"
    return RunStatus.COMPLETED, None
