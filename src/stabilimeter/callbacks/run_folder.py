"""Where the record of a fit goes."""

import os
import tempfile
from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from stabilimeter.records.record_error import RecordError


def run_folder(trainer: Trainer, dirpath: str | os.PathLike[str] | None) -> Path:
    """``dirpath``, else the folder of the first logger's run, else ``trainer.default_root_dir``. Call it on every rank.

    Loggers without a folder per run (W&B, MLflow) get ``<save_dir>/<name>/<version>``, as checkpoints do.
    """
    if dirpath is not None:
        return Path(dirpath)
    log_dir = trainer.log_dir  # takes a broadcast
    logger = trainer.loggers[0] if trainer.loggers else None
    if logger is None or (log_dir is None and logger.save_dir is None):
        return Path(trainer.default_root_dir)
    if isinstance(logger, TensorBoardLogger | CSVLogger):
        return Path(log_dir or trainer.default_root_dir)
    version = logger.version if isinstance(logger.version, str) else f"version_{logger.version}"
    name = str(trainer.strategy.broadcast(logger.name))
    return Path(logger.save_dir or trainer.default_root_dir) / name / str(trainer.strategy.broadcast(version))


def check_writable(folder: Path) -> None:
    """Make ``folder`` and try it, before anything is trained.

    Raises:
        RecordError: if nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise RecordError(
            f"cannot write the record of this run to {folder}: {error.strerror or error}; "
            "give StabilityMonitor(dirpath=...) a folder that can be written to"
        ) from error
