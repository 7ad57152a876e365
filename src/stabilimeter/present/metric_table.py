"""Final values of the metrics over seeds."""

from collections.abc import Sequence

from stabilimeter.analysis.roles import is_validation
from stabilimeter.analysis.summary import GroupMetric, Summary
from stabilimeter.present.ranking import Named
from stabilimeter.present.table import Cell, Column, Table, Tone, row
from stabilimeter.present.wording import count, mean_and_interval, number, printable
from stabilimeter.records import keys

MAX_METRIC_ROWS = 24


def metric_tags(summary: Summary) -> list[str]:
    """The metrics worth a table: the primary one, then others of which it is known which direction is better.

    Those on validation data come first.
    """
    tags = {tag for group in summary.groups for tag, metric in group.metrics.items() if metric.mode is not None}
    known = tags - {keys.LOSS_VAR, keys.LOSS_NOISE, keys.GRAD_NORM, keys.GRAD_NORM_CLIPPED}
    primaries = [summary.primary_metric, *(group.primary_metric for group in summary.groups)]
    first = list(dict.fromkeys(tag for tag in primaries if tag is not None))
    return first + sorted(known.difference(first), key=lambda tag: (not is_validation(tag), tag))


def metrics(groups: Sequence[Named], tags: Sequence[str]) -> Table | None:
    """Final values over seeds, for as many of the metrics as fit."""
    rows: list[tuple[Cell, ...]] = []
    shown = 0
    for tag in tags:
        block = _metric_rows(groups, tag)
        if len(rows) + len(block) > MAX_METRIC_ROWS:
            break
        rows += block
        shown += 1
    if not rows:
        return None
    more = len(tags) - shown
    names = ("mean ± 95 %", "sd", "median", "min", "max", "n")
    columns = (Column("metric"), *(Column(name, numeric=True) for name in names))
    caption = f"{count(more, 'more metric')} in the JSON summary" if more else ""
    return Table("Final value of the metrics over seeds", columns, tuple(rows), caption)


def _metric_rows(groups: Sequence[Named], tag: str) -> list[tuple[Cell, ...]]:
    lines: list[tuple[str, GroupMetric]] = []
    for label, group in groups:
        if tag not in group.metrics:
            continue
        lines.append((label, group.metrics[tag]))
        survivors = group.metrics_ok.get(tag)
        if survivors is not None and 0 < survivors.n < group.metrics[tag].n:
            lines.append((f"{label}, survivors only", survivors))
    rows = [] if len(groups) == 1 else [row(Cell(printable(tag), Tone.STRONG), *[""] * 6)]
    for label, metric in lines:
        own = printable(tag) if metric is lines[0][1] else "  survivors only"
        name = own if len(groups) == 1 else f"  {label}"
        spread = [number(value) for value in (metric.median, metric.min, metric.max)]
        rows.append(row(name, mean_and_interval(metric), number(metric.sd, 2), *spread, str(metric.n)))
    return rows if lines else []
