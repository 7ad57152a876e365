"""What is told of an evaluation and of saved checkpoints: record, loggers, TensorBoard."""

import logging
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.records import keys
from stabilimeter.records.checkpoint_log import (
    CHECKPOINTS_FILE,
    LAST_HEALTHY_FILE,
    CheckpointLog,
    Evaluation,
    SavedCheckpoint,
    checkpoint_line,
    drop_checkpoints_after,
    evaluation_text,
    point_at_last_healthy,
    read_checkpoints,
)
from stabilimeter.records.events.appender import append
from stabilimeter.records.manifest import RECORD_DIR
from stabilimeter.stats.checkpoint_verdict import Verdict

TAG = "checkpoint"
"""Of the texts."""

_logger = logging.getLogger(__name__)
_NO_MARKDOWN = str.maketrans("", "", "*`")
_SIGNS = {Verdict.BETTER: 1.0, Verdict.SAME: 0.0, Verdict.WORSE: -1.0}


class CheckpointReport:
    """The record in ``<folder>/stability``, on rank 0.

    Args:
        folder: Folder of the run; None to keep nothing on disk (``fast_dev_run``).
        trainer: The Trainer.

    Attributes:
        record: Where it is; None if nothing is kept.
    """

    def __init__(self, folder: Path | None, trainer: Trainer) -> None:
        self._folder = folder
        self._trainer: Any = trainer
        self._was_worse = False
        self.record = None if folder is None else folder / RECORD_DIR

    def open(self, last_step: int) -> CheckpointLog:
        """Leave what was told up to ``last_step`` (-1 for a run that starts anew), and return all there was."""
        if self.record is None:
            return CheckpointLog()
        self.record.mkdir(parents=True, exist_ok=True)
        log, _ = read_checkpoints(self.record)
        drop_checkpoints_after(self.record, last_step)
        if last_step < 0:
            (self.record / LAST_HEALTHY_FILE).unlink(missing_ok=True)
        return log

    def enter(self, entry: Evaluation | SavedCheckpoint) -> None:
        """Keep one line."""
        if self.record is not None:
            append(self.record / CHECKPOINTS_FILE, checkpoint_line(entry).encode())

    def point(self, saved: SavedCheckpoint) -> None:
        """Name the last healthy checkpoint."""
        if self.record is not None:
            point_at_last_healthy(self.record, saved)

    def log(self, evaluation: Evaluation) -> None:
        """Give loggers and TensorBoard a few numbers, and a sentence where the evaluation is not the same as before.

        The first of several that are worse in a row is said on the terminal too.
        """
        is_worse = evaluation.verdict is Verdict.WORSE
        if is_worse and not self._was_worse:
            _logger.warning("CheckpointRegression: %s", evaluation_text(evaluation).translate(_NO_MARKDOWN))
        self._was_worse = is_worse
        if self._folder is None:
            return
        scalars = _scalars(evaluation)
        text = None
        if evaluation.unhealthy or evaluation.verdict in (Verdict.BETTER, Verdict.WORSE):
            text = evaluation_text(evaluation)
        monitors = [c for c in self._trainer.callbacks if isinstance(c, StabilityMonitor)]
        if any(monitor.note(evaluation.step, scalars, text, TAG) for monitor in monitors):
            return
        for logger in self._trainer.loggers:
            logger.log_metrics(scalars, evaluation.step)
            if text is not None and isinstance(logger, TensorBoardLogger):
                logger.experiment.add_text(TAG, text, evaluation.step)


def _scalars(evaluation: Evaluation) -> dict[str, float]:
    scalars = {keys.CHECKPOINT_DRAWDOWN: evaluation.drawdown}
    if evaluation.verdict is not None:
        scalars[keys.CHECKPOINT_VERDICT] = _SIGNS[evaluation.verdict]
    changes = evaluation.examples
    if changes is not None:
        counts = {
            keys.CHECKPOINT_NEGATIVE_FLIP_RATE: changes.negative,
            keys.CHECKPOINT_FORGOTTEN_SHARE: changes.forgotten,
        }
        scalars |= {key: count / changes.n for key, count in counts.items() if count is not None}
        if changes.churn is not None:
            scalars[keys.CHECKPOINT_CHURN] = changes.churn
    return scalars
