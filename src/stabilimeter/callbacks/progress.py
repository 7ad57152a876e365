"""Progress of one run on a terminal: steps done of steps planned, whatever an epoch is."""

import multiprocessing
import sys
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

REFRESH_S = 0.1


class RunProgress(ProgressBar):
    """One line that vanishes when the run ends, so that a sweep of many runs stays readable.

    Shows nothing where it would do harm: in a log file, or in one of several processes that share the terminal.
    Metrics logged with ``prog_bar=True`` are read after each validation only, not at every step.
    """

    def __init__(self) -> None:
        super().__init__()
        self._progress: Progress | None = None
        self._next_refresh = 0.0
        self._alone = multiprocessing.current_process().name == "MainProcess"

    def disable(self) -> None:
        """Called by Lightning on every rank but the first."""
        self._alone = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Shows the line."""
        if not self._alone or not sys.stderr.isatty():
            return
        steps = trainer.estimated_stepping_batches
        self._progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeRemainingColumn(compact=True),
            TextColumn("left  {task.description}"),
            console=Console(file=sys.stderr),
            auto_refresh=False,
            transient=True,
        )
        self._progress.add_task("", total=int(steps) if steps != float("inf") else None, completed=trainer.global_step)
        self._progress.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Moves the line on, at most ten times per second."""
        if self._progress is not None and time.monotonic() >= self._next_refresh:
            self._progress.update(self._progress.task_ids[0], completed=trainer.global_step, refresh=True)
            self._next_refresh = time.monotonic() + REFRESH_S

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes over the metrics."""
        if self._progress is not None and not trainer.sanity_checking:
            metrics = "  ".join(f"{name} {float(value):.4g}" for name, value in trainer.progress_bar_metrics.items())
            self._progress.update(self._progress.task_ids[0], description=metrics)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Removes the line."""
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Removes the line."""
        self._stop()

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
