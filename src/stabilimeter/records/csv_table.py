"""A CSV file as a header and rows, whoever wrote it."""

import csv
import os
from dataclasses import dataclass
from pathlib import Path

from stabilimeter.records.record_error import RecordError
from stabilimeter.records.step_name import whole_step

_LONGEST_HEADER = 1 << 20


@dataclass(frozen=True, eq=False)
class CsvTable:
    """A CSV file.

    Attributes:
        path: The file.
        header: Names of the columns, each once (columns without a name excepted).
        rows: ``(line number, cells)``, as many cells as columns.
        notes: What was left out.
    """

    path: Path
    header: list[str]
    rows: list[tuple[int, list[str]]]
    notes: tuple[str, ...] = ()

    def step(self, cell: str, line: int) -> int:
        """A cell as a step.

        Raises:
            RecordError: if it is no whole number; names the line.
        """
        step = whole_step(cell)
        if step is None:
            raise RecordError(f"{self.path}: line {line}: the step must be a whole number, got {cell!r}")
        return step

    def number(self, cell: str, line: int, column: str) -> float:
        """A cell as a number.

        Raises:
            RecordError: if it is none; names the line and the column.
        """
        try:
            return float(cell)
        except ValueError as error:
            raise RecordError(f"{self.path}: line {line}, column {column!r}: {cell!r} is not a number") from error


def csv_header(path: str | os.PathLike[str]) -> list[str]:
    """The cells of the first line of the file; empty if it is no text or cannot be read."""
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            line = file.readline(_LONGEST_HEADER)
        return [name.strip() for name in next(csv.reader([line], delimiter=_delimiter(line)), [])]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def read_csv_table(path: str | os.PathLike[str]) -> CsvTable:
    """The table at ``path``, whose cells are separated by commas, semicolons or tabs.

    An unfinished last line, as a killed writer leaves it, is left out and noted.

    Raises:
        RecordError: if the file cannot be read, a column name occurs twice or a row has another length; names the line.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RecordError(f"{path}: not a text file (byte {error.start})") from error
    lines = text.splitlines(keepends=True)
    reader = csv.reader(lines, delimiter=_delimiter(lines[0] if lines else ""), strict=True)
    rows = []
    notes: tuple[str, ...] = ()
    try:
        header = [name.strip() for name in next(reader, [])]
        named = [name for name in header if name]
        if len(set(named)) < len(named):
            twice = sorted({name for name in named if named.count(name) > 1})
            raise RecordError(f"{path}: a column name occurs twice: {', '.join(twice)}")
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                if reader.line_num == len(lines) and not text.endswith(("\n", "\r")):
                    notes = (f"{path.name}: unfinished last line {reader.line_num} left out",)
                    break
                raise RecordError(
                    f"{path}: line {reader.line_num} has {len(row)} cells where the header has {len(header)}"
                )
            rows.append((reader.line_num, row))
    except csv.Error as error:
        raise RecordError(f"{path}: line {reader.line_num} is not CSV ({error})") from error
    return CsvTable(path, header, rows, notes)


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)
