"""Several runs in one CSV file: what Weights & Biases and MLflow export of a chart.

A chart is one metric, or a few, of all its runs. So a run is put together from all exports of a folder that name it.

- **W&B**: a column for the x axis, then for each run ``RUN - METRIC``, and the smallest and largest value among the
  steps that one point stands for, ``RUN - METRIC__MIN`` and ``RUN - METRIC__MAX``. Over any other x axis than the step
  the columns ``RUN - _step`` hold the steps. Columns ``Group: ...`` are means of several runs.
- **MLflow**: a row per point, with the columns ``Run, Run ID, metric, step, timestamp, value`` (charts) or ``run_id,
  key, value, step, timestamp`` (the page of a metric). A first column ``Group`` stands for means of several runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from stabilimeter.records.csv_table import CsvTable, read_csv_table
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.scalar_log import LoggedPoints, ScalarLog
from stabilimeter.records.step_name import step_name

_JOINT = " - "
_GROUP = "Group: "
_STEP = "_step"


class Export(Enum):
    """Who wrote an export."""

    WANDB = "W&B chart"
    MLFLOW = "MLflow metrics"


@dataclass(frozen=True)
class ExportedRun:
    """One run of an export.

    Attributes:
        key: What tells it from other runs: its id, or its name where the export gives no id.
        name: Its name.
        log: What the export says about it.
    """

    key: str
    name: str
    log: ScalarLog


def export_kind(header: Sequence[str]) -> Export | None:
    """Who wrote a CSV file with this header as an export of several runs; None if nobody did."""
    names = {name.lower() for name in header}
    if {"step", "value"} <= names and names & {"run id", "run_id"} and names & {"metric", "key"}:
        return Export.MLFLOW
    return Export.WANDB if _chart_columns(header) else None


def why_unreadable(header: Sequence[str]) -> str | None:
    """Why no run can be read from an export with this header; None if some can."""
    if export_kind(header) is Export.MLFLOW:
        return "MLflow's means over groups of runs" if header[0].lower() == "group" else None
    columns = _chart_columns(header)
    if all(header[column].startswith(_GROUP) for column in columns):
        return "a W&B chart of means over groups of runs; export it without grouping"
    if step_name(header[:1]) is None and not any(header[column].endswith(_JOINT + _STEP) for column in columns):
        return f"a W&B chart over {header[0]!r}; export it over the step"
    return None


def exported_runs(paths: Sequence[Path]) -> list[ExportedRun]:
    """The runs that exports from one folder name, by key.

    Raises:
        RecordError: if a file cannot be read; names the line.
    """
    found: dict[str, _Parts] = {}
    for path in paths:
        table = read_csv_table(path)
        add = _add_metrics if export_kind(table.header) is Export.MLFLOW else _add_chart
        for key in add(table, found):
            found[key].notes += table.notes
    said = paths[0].name if len(paths) == 1 else "exports"
    return [ExportedRun(key, part.name, part.points.log(said, part.notes)) for key, part in sorted(found.items())]


@dataclass
class _Parts:
    """What exports say about one run."""

    name: str
    points: LoggedPoints = field(default_factory=LoggedPoints)
    notes: list[str] = field(default_factory=list)


def _chart_columns(header: Sequence[str]) -> list[int]:
    """Columns of a W&B chart that hold values: those beside which there is a smallest and a largest value."""
    names = set(header)
    return [
        number
        for number, name in enumerate(header)
        if _JOINT in name and f"{name}__MIN" in names and f"{name}__MAX" in names
    ]


def _add_chart(table: CsvTable, found: dict[str, _Parts]) -> list[str]:
    """Adds what a chart says; the runs that it names."""
    header = table.header
    columns = _chart_columns(header)
    place = {name: number for number, name in enumerate(header)}
    grouped = sorted({header[column].rpartition(_JOINT)[0] for column in columns if header[column].startswith(_GROUP)})
    over_steps = step_name(header[:1]) is not None
    named: dict[str, _Parts] = {}
    for column in columns:
        run, _, metric = header[column].rpartition(_JOINT)
        if run in grouped or metric == _STEP:
            continue
        steps_at = place.get(f"{run}{_JOINT}{_STEP}", 0 if over_steps else None)
        if steps_at is None:
            raise RecordError(f"{table.path}: no steps for the run {run!r}; export the chart over the step")
        part = found.setdefault(run, _Parts(run))
        low, high = place[f"{header[column]}__MIN"], place[f"{header[column]}__MAX"]
        means = count = 0
        for line, row in table.rows:
            if row[column]:
                value = table.number(row[column], line, header[column])
                part.points.add(metric, table.step(row[steps_at], line), value)
                means += row[low] != row[high]
                count += 1
        if means:
            part.notes.append(f"{metric}: {means} of {count} points are means over several steps, as W&B exports them")
        named[run] = part
    if grouped:
        for part in named.values():
            part.notes.append(f"{table.path.name}: means over groups of runs left out: {', '.join(grouped)}")
    return list(named)


def _add_metrics(table: CsvTable, found: dict[str, _Parts]) -> list[str]:
    """Adds what a table of points says; the runs that it names."""
    place = {name.lower(): number for number, name in reversed(list(enumerate(table.header)))}
    run_at = place.get("run id", place.get("run_id", 0))
    metric_at = place.get("metric", place.get("key", 0))
    name_at = place.get("run", run_at)
    step_at, value_at = place["step"], place["value"]
    named: dict[str, _Parts] = {}
    for line, row in table.rows:
        run, metric = row[run_at], row[metric_at]
        if not run or not metric:
            raise RecordError(f"{table.path}: line {line} names no run or no metric")
        part = found.setdefault(run, _Parts(row[name_at] or run))
        part.points.add(metric, table.step(row[step_at], line), table.number(row[value_at], line, "value"))
        named[run] = part
    return list(named)
