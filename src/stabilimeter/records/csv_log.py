"""One run as CSV: Lightning's ``metrics.csv``, the history of a W&B run, any table with a step column.

An empty cell is 'not logged'; the texts ``nan`` and ``inf`` are values. A column whose cells are all texts is no metric
and is left out; one text among numbers is an error. A column without a name is the row number that pandas adds.
"""

import os

from stabilimeter.records.csv_table import CsvTable, read_csv_table
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.scalar_log import LoggedPoints, ScalarLog
from stabilimeter.records.step_name import STEP_NAMES, step_name


def read_csv_log(path: str | os.PathLike[str]) -> ScalarLog:
    """The numeric columns of the log at ``path``, each with the steps at which it was logged.

    Raises:
        RecordError: if the file cannot be read, has no step column, or a cell is not a number; names the line.
    """
    table = read_csv_table(path)
    name_of_step = step_name(table.header)
    if name_of_step is None:
        raise RecordError(
            f"{table.path}: no step column among {table.header}; one of {', '.join(STEP_NAMES)} is needed"
        )
    at = table.header.index(name_of_step)
    steps = [table.step(row[at], line) for line, row in table.rows]
    points = LoggedPoints()
    texts = []
    for number, name in enumerate(table.header):
        if number == at or not name:
            continue
        if _is_text(table, number):
            texts.append(name)
            continue
        for step, (line, row) in zip(steps, table.rows, strict=True):
            if row[number]:
                points.add(name, step, table.number(row[number], line, name))
    notes = [f"{table.path.name}: columns of text left out: {', '.join(texts)}"] if texts else []
    return points.log(table.path.name, (*table.notes, *notes))


def _is_text(table: CsvTable, number: int) -> bool:
    """Whether a column has cells and none of them is a number."""
    cells = [row[number] for _, row in table.rows if row[number]]
    return bool(cells) and not any(_is_number(cell) for cell in cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
