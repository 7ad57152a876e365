"""Training logs as CSV: Lightning's ``metrics.csv``, and any table with a step column.

An empty cell is 'not logged'; the texts ``nan`` and ``inf`` are values. A column whose cells are all texts is no metric
and is left out; one text among numbers is an error.
"""

import csv
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stabilimeter.records.points import Points, points_in_order, replaced_note
from stabilimeter.records.record_error import RecordError

STEP_COLUMNS = (
    "step",
    "global_step",
    "trainer/global_step",
    "_step",
    "iteration",
    "iter",
    "update",
    "batch",
    "epoch",
)
"""Names of the step column, the preferred first; compared without regard to case."""


@dataclass(frozen=True, eq=False)
class CsvLog:
    """What a CSV log holds; the notes say what was left out."""

    scalars: Mapping[str, Points]
    notes: tuple[str, ...]


def is_csv_log(path: str | os.PathLike[str]) -> bool:
    """Whether the first line of the file names a step column."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            line = file.readline()
    except (OSError, UnicodeDecodeError):
        return False
    return _step_column(next(csv.reader([line], delimiter=_delimiter(line)), [])) is not None


def read_csv_log(path: str | os.PathLike[str]) -> CsvLog:
    """The numeric columns of the log at ``path``, each with the steps at which it was logged.

    Raises:
        RecordError: if the file cannot be read, has no step column, or a cell is not a number; names the line.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RecordError(f"{path}: not a text file (byte {error.start})") from error
    lines = text.splitlines(keepends=True)
    rows = csv.reader(lines, delimiter=_delimiter(lines[0] if lines else ""), strict=True)
    notes: list[str] = []
    try:
        header = [name.strip() for name in next(rows, [])]
        at = _step_column(header)
        if at is None:
            raise RecordError(f"{path}: no step column among {header}; one of {', '.join(STEP_COLUMNS)} is needed")
        if len(set(header)) < len(header):
            raise RecordError(f"{path}: a column name occurs twice in {header}")
        cells: list[list[tuple[int, int, str]]] = [[] for _ in header]
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                if rows.line_num == len(lines) and not text.endswith(("\n", "\r")):
                    notes.append(f"{path.name}: unfinished last line {rows.line_num} left out")
                    break
                raise RecordError(
                    f"{path}: line {rows.line_num} has {len(row)} cells where the header has {len(header)}"
                )
            step = _step(row[at], path, rows.line_num)
            for column, cell in zip(cells, row, strict=True):
                if cell:
                    column.append((step, rows.line_num, cell))
    except csv.Error as error:
        raise RecordError(f"{path}: line {rows.line_num} is not CSV ({error})") from error
    scalars = {}
    texts = []
    replaced = 0
    for number, (name, column) in enumerate(zip(header, cells, strict=True)):
        if number == at or not column:
            continue
        numbers = _numbers(column, name, path)
        if numbers is None:
            texts.append(name)
            continue
        scalars[name], again = points_in_order(*numbers)
        replaced += again
    if replaced:
        notes.append(f"{path.name}: {replaced_note(replaced)}")
    if texts:
        notes.append(f"{path.name}: columns of text left out: {', '.join(texts)}")
    return CsvLog(dict(sorted(scalars.items())), tuple(notes))


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _step_column(header: list[str]) -> int | None:
    names = [name.strip().lower() for name in header]
    return next((names.index(name) for name in STEP_COLUMNS if name in names), None)


def _step(cell: str, path: Path, line: int) -> int:
    try:
        number = float(cell)
        if number == math.floor(number):
            return int(number)
    except (ValueError, OverflowError):
        pass
    raise RecordError(f"{path}: line {line}: the step must be a whole number, got {cell!r}")


def _numbers(
    column: list[tuple[int, int, str]], name: str, path: Path
) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Steps and values of a column; None if it holds no number at all."""
    values = np.empty(len(column))
    first_text: tuple[int, str] | None = None
    texts = 0
    for number, (_, line, cell) in enumerate(column):
        try:
            values[number] = float(cell)
        except ValueError:
            texts += 1
            first_text = first_text or (line, cell)
    if first_text is not None:
        if texts == len(column):
            return None
        raise RecordError(f"{path}: line {first_text[0]}, column {name!r}: {first_text[1]!r} is not a number")
    return np.array([step for step, _, _ in column], np.int64), values
