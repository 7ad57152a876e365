"""The same signals in the Trainer's other loggers, a block at a time."""

from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.loggers import Logger, TensorBoardLogger

from stabilimeter.callbacks.capture.block import Block


def without_the_own_one(loggers: Sequence[Logger], folder: Path) -> list[Logger]:
    """All loggers but a `TensorBoardLogger` with ``folder`` beneath its own, where the record is a run already."""
    return [
        logger
        for logger in loggers
        if not isinstance(logger, TensorBoardLogger)
        or not folder.resolve().is_relative_to(Path(logger.log_dir).resolve())
    ]


def write_to_loggers(loggers: Sequence[Logger], block: Block) -> None:
    """Log each step of ``block``, with the values that were measured at it."""
    for logger in loggers:
        rows = zip(block.steps.tolist(), block.values.tolist(), block.measured.tolist(), strict=True)
        for step, values, measured in rows:
            row = {key: value for key, value, known in zip(block.keys, values, measured, strict=True) if known}
            logger.log_metrics(row, step)
        logger.save()
