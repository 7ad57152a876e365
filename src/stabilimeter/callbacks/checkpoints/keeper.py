"""Keeps healthy checkpoints from being overwritten or deleted by a run that has gone wrong.

`ModelCheckpoint(save_last=True)` overwrites ``last.ckpt`` with NaN weights, and with ``save_top_k=1`` deletes the file
before it; with ``save_on_exception`` it does so while the run is dying. Whoever saves, `ModelCheckpoint`,
`OnExceptionCheckpoint`, a SLURM handler or a call of ``Trainer.save_checkpoint``, goes through two public methods of
the strategy, ``save_checkpoint`` and ``remove_checkpoint``, on all ranks. Both are wrapped on the instance for the
time of a fit. The documented seam, a ``CheckpointIO`` plugin, is not enough: strategies that write sharded checkpoints
(FSDP, ``ModelParallelStrategy``) go around it when they save, and it runs on rank 0 only, where asking the other ranks
about their health would hang. The hook ``on_save_checkpoint`` is told no path, and not called for
``save_weights_only``.
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import fsspec  # type: ignore[import-untyped]
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_warn

from stabilimeter.records.checkpoint_log import SavedCheckpoint, full_path

SICK_PREFIX = "sick-"
"""Put before a name: ``fit(ckpt_path="last")`` takes whatever begins with ``last``."""

Health = Callable[[Mapping[str, Any]], tuple[str, ...]]
"""What is not healthy about a checkpoint on this rank, in words."""


class CheckpointKeeper:
    """Between `install` and `remove`, a sick checkpoint takes the place of sick ones only.

    A save that would overwrite a healthy checkpoint with a sick one goes to ``sick-<name>`` beside it. After a
    sick save, removals of healthy checkpoints are put off until a healthy one has been saved again. The last healthy
    checkpoint is never removed. Files from before the fit count as healthy unless known not to be.

    Args:
        trainer: The Trainer.
        health: Judges a checkpoint; called on every rank.
        on_saved: Told on rank 0 of every save, once it is done.
        on_healthy: Told on rank 0 of every healthy one, once it is there: with asynchronous writing that may be later.
    """

    def __init__(
        self,
        trainer: Trainer,
        health: Health,
        on_saved: Callable[[SavedCheckpoint], None],
        on_healthy: Callable[[SavedCheckpoint], None],
    ) -> None:
        self._trainer = trainer
        self._strategy: Any = trainer.strategy
        self._health = health
        self._on_saved = on_saved
        self._on_healthy = on_healthy
        self._is_sick = False
        self._is_alone = False
        self._sick: set[str] = set()
        self._held: list[str] = []
        self._pending: SavedCheckpoint | None = None
        self._last_healthy: str | None = None

    def remember(self, sick: set[str], last_healthy: str | None) -> None:
        """What is known of checkpoints from before: paths of sick ones, and of the last healthy one."""
        self._sick, self._last_healthy = {full_path(path) for path in sick}, last_healthy and full_path(last_healthy)

    def install(self) -> None:
        """Wrap the strategy."""
        self._save, self._remove = self._strategy.save_checkpoint, self._strategy.remove_checkpoint
        self._strategy.save_checkpoint = self._guarded_save
        self._strategy.remove_checkpoint = self._guarded_remove

    def stop_asking(self) -> None:
        """Decide without the other ranks from now on: after an exception they may be gone, and asking would hang."""
        self._is_alone = True

    def remove(self) -> None:
        """Wait for what is still being written, and give the strategy its own methods back."""
        if "save_checkpoint" not in vars(self._strategy):
            return
        if self._pending is not None:
            self._strategy.checkpoint_io.teardown()  # waits for asynchronous writing, as the Trainer is about to do
            self._settle()
        for name in ("save_checkpoint", "remove_checkpoint"):
            vars(self._strategy).pop(name, None)

    def _guarded_save(self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None) -> None:
        unhealthy = self._health(checkpoint)
        is_healthy = not unhealthy
        if not self._is_alone:
            is_healthy = bool(self._strategy.reduce_boolean_decision(is_healthy, all=True))
        if not is_healthy and not unhealthy:
            unhealthy = ("not healthy on another rank",)
        self._settle()
        asked = str(filepath)
        is_protected = not is_healthy and self._is_protected(asked)
        if not self._is_alone:
            is_protected = self._strategy.broadcast(is_protected)
        path = _sick_name(asked) if is_protected else asked
        self._save(checkpoint, type(filepath)(path), storage_options=storage_options)
        if self._trainer.is_global_zero:
            self._told(path, None if path == asked else asked, unhealthy)
        self._is_sick = not is_healthy

    def _told(self, path: str, asked: str | None, unhealthy: tuple[str, ...]) -> None:
        step = max(self._trainer.global_step - 1, 0)
        saved = SavedCheckpoint(step, self._trainer.current_epoch, time.time(), path, unhealthy, asked)
        self._on_saved(saved)
        self._held = [held for held in self._held if full_path(held) != full_path(path)]
        if not unhealthy:
            self._sick.discard(full_path(path))
            self._pending = saved
            self._settle()
            return
        self._sick.add(full_path(path))
        if not self._is_sick:
            kept = "" if self._last_healthy is None else f" The last healthy one is {self._last_healthy}."
            rank_zero_warn(
                f"CheckpointRegression: the checkpoint of step {step} is not healthy ({'; '.join(unhealthy)}): {path}. "
                f"Healthy checkpoints are neither overwritten nor deleted until there is a new one.{kept}",
                category=UserWarning,
            )

    def _guarded_remove(self, filepath: Any) -> None:
        if not self._trainer.is_global_zero:
            self._remove(filepath)
            return
        self._settle()
        path = full_path(str(filepath))
        if path not in self._sick and (self._is_sick or path == self._last_healthy):
            self._held.append(str(filepath))
            return
        self._sick.discard(path)
        self._remove(filepath)

    def _settle(self) -> None:
        """A healthy checkpoint that is there by now is the last healthy one, and those held for its sake may go."""
        if self._pending is None or not _exists(self._pending.path):
            return
        saved, self._pending = self._pending, None
        self._last_healthy = full_path(saved.path)
        self._on_healthy(saved)
        held, self._held = self._held, []
        for path in held:
            self._remove(path)

    def _is_protected(self, path: str) -> bool:
        return self._trainer.is_global_zero and full_path(path) not in self._sick and _exists(path)


def _exists(path: str) -> bool:
    files, name = fsspec.core.url_to_fs(path)
    return bool(files.exists(name))


def _sick_name(path: str) -> str:
    """``runs/last.ckpt`` becomes ``runs/sick-last.ckpt``."""
    name = re.split(r"[/\\]", path)[-1]
    return f"{path.removesuffix(name)}{SICK_PREFIX}{name}"
