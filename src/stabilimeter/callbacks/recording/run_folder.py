"""Where the record of a fit goes."""

import os
import tempfile
from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from stabilimeter.callbacks.recording.configuration import output_folder
from stabilimeter.records.record_error import RecordError


def run_folder(trainer: Trainer, dirpath: str | os.PathLike[str] | None) -> Path:
    """``dirpath``, else the folder of a logger's run, else ``trainer.default_root_dir``. Call it on every rank.

    A `TensorBoardLogger` is preferred to the other loggers, because the record is a TensorBoard run itself. Inside a
    Hydra job the record never leaves the folder of the job, where the seeds of a sweep are told apart.
    """
    if dirpath is not None:
        return Path(dirpath)
    folder, job = _folder_of_trainer(trainer), output_folder()
    return folder if job is None or folder.resolve().is_relative_to(job.resolve()) else job


def _folder_of_trainer(trainer: Trainer) -> Path:
    """Loggers without a folder per run (W&B, MLflow) get ``<save_dir>/<name>/<version>``, as checkpoints do."""
    default = Path(trainer.default_root_dir)
    if not trainer.loggers:
        return default
    first = trainer.loggers[0]
    logger = next((logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)), first)
    if isinstance(logger, TensorBoardLogger | CSVLogger):
        return Path(trainer.strategy.broadcast(logger.log_dir) or default)
    if logger.save_dir is None:
        return default
    version = logger.version if isinstance(logger.version, str) else f"version_{logger.version}"
    name = str(trainer.strategy.broadcast(logger.name))
    return Path(logger.save_dir) / name / str(trainer.strategy.broadcast(version))


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
