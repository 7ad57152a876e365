"""What a run got right, example by example: the last evaluation, and how sure it was over all of them.

One NumPy archive, ``examples.npz``, replaced atomically after each evaluation: some thirty bytes per example, however
many evaluations there are.
"""

import io
import os
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stabilimeter.records.record_error import RecordError

EXAMPLES_FILE = "examples.npz"


@dataclass(frozen=True, eq=False)
class ExampleLog:
    """The examples of an evaluation set in increasing order of their keys; arrays of shape ``(n,)``.

    Attributes:
        step: Last optimizer step before the last evaluation.
        evaluations: How many evaluations the run had.
        keys: Which example, int64: its index, with the number of its dataloader in the upper bits.
        correct: Whether the last evaluation got it right; None if that is not known.
        prediction: What the last evaluation said, int64; None if that is not known.
        confidence: Mean over evaluations of the probability of the true class (see `stats.training_dynamics`).
        variability: Its standard deviation over evaluations.
        correctness: Share of the evaluations that got it right.
    """

    step: int
    evaluations: int
    keys: NDArray[np.int64]
    correct: NDArray[np.bool_] | None = None
    prediction: NDArray[np.int64] | None = None
    confidence: NDArray[np.float32] | None = None
    variability: NDArray[np.float32] | None = None
    correctness: NDArray[np.float32] | None = None


def write_examples(folder: Path, log: ExampleLog) -> None:
    """Write ``log`` to its file in ``folder``, in place of an earlier one: a reader sees either, never half of one.

    Raises:
        OSError: if it cannot be written.
    """
    columns = {item.name: getattr(log, item.name) for item in fields(log)}
    present: dict[str, Any] = {name: np.asarray(column) for name, column in columns.items() if column is not None}
    content = io.BytesIO()
    np.savez(content, **present)
    draft = folder / f".{EXAMPLES_FILE}.{os.getpid()}"
    draft.write_bytes(content.getvalue())
    draft.replace(folder / EXAMPLES_FILE)


def read_examples(folder: Path) -> ExampleLog | None:
    """The examples of the record in ``folder``; None if it has none.

    Raises:
        RecordError: if the file cannot be read, or its columns are of unequal length.
    """
    path = folder / EXAMPLES_FILE
    if not path.is_file():
        return None
    known = {item.name for item in fields(ExampleLog)}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            columns: dict[str, Any] = {name: archive[name] for name in archive.files if name in known}
        log = ExampleLog(**{**columns, "step": int(columns["step"]), "evaluations": int(columns["evaluations"])})
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise RecordError(f"cannot read {path}: {error}; move it away to read the run without it") from error
    lengths = {name: np.shape(column) for name, column in columns.items() if name not in ("step", "evaluations")}
    if len(set(lengths.values())) > 1:
        raise RecordError(f"{path}: columns of different lengths: {lengths}")
    return log
