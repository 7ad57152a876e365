"""The same signals in the Trainer's other loggers, a block at a time."""

from collections.abc import Sequence

from lightning.pytorch.loggers import Logger, TensorBoardLogger

from stabilimeter.callbacks.track import Block


def write_to_loggers(loggers: Sequence[Logger], block: Block) -> None:
    """Log each step of ``block``, with the values that were measured at it.

    A `TensorBoardLogger` is left out: our record, in a folder beneath its own, is already a TensorBoard run.
    """
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            continue
        rows = zip(block.steps.tolist(), block.values.tolist(), block.measured.tolist(), strict=True)
        for step, values, measured in rows:
            row = {key: value for key, value, known in zip(block.keys, values, measured, strict=True) if known}
            logger.log_metrics(row, step)
        logger.save()
