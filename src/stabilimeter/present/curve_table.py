"""The course of training at a glance: the mean over seeds of each group as a small curve."""

from collections.abc import Sequence

import numpy as np

from stabilimeter.analysis.roles import is_loss, is_validation
from stabilimeter.analysis.summary import Band, GroupSummary
from stabilimeter.present.ranking import Named
from stabilimeter.present.sparkline import GAP, sparkline
from stabilimeter.present.table import Column, Table, row
from stabilimeter.present.wording import count, number, printable

WIDTH = 24
"""Cells of a curve: with a label and two numbers it fits into 80 columns."""

MAX_ROWS = 12


def curves(groups: Sequence[Named]) -> Table | None:
    """One row per group with its primary metric; for a single group also the training loss.

    A group whose primary metric has no finite value shows the training loss. The curve is the mean over the seeds that
    have a finite value at the step.
    """
    shown = [(label, tag, group.bands[tag]) for label, group in groups for tag in _tags(group, len(groups) == 1)]
    if not shown:
        return None
    tags = {tag for _, tag, _ in shown}
    names: tuple[str, ...] = ("group", "series") if len(tags) > 1 else ("group",)
    if len(groups) == 1:
        names = ("series",)
    rows = []
    for label, tag, band in shown:
        name = {"group": label, "series": printable(tag)}
        # Most of a loss is gone within the first steps: on its full scale the rest would be a flat line.
        line = sparkline(band.mean, WIDTH, scale_from=1 if band.mean.size >= WIDTH else 0)
        rows.append(row(*(name[column] for column in names), number(band.mean[0]), line, number(band.mean[-1])))
    if len(rows) > MAX_ROWS:
        ends = MAX_ROWS // 2
        between = row(f"... {count(len(rows) - 2 * ends, 'group')} between ...", *[""] * (len(names) + 2))
        rows = rows[:ends] + [between] + rows[-ends:]
    columns = (
        *map(Column, names),
        Column("first", numeric=True),
        Column("", numeric=True),
        Column("last", numeric=True),
    )
    what = f"{printable(next(iter(tags)))}, mean" if len(tags) == 1 and "series" not in names else "Mean"
    caption = "Each curve has a scale of its own, set by what follows the first of its blocks."
    if any(GAP in cells[-2].text for cells in rows):
        caption += f" {GAP} no seed had a finite value."
    return Table(f"{what} over seeds, from first to last step", columns, tuple(rows), caption)


def _tags(group: GroupSummary, all_of_them: bool) -> list[str]:
    """The series of a group that are worth a curve: those with two finite means."""
    losses = [tag for tag in group.bands if is_loss(tag) and not is_validation(tag)]
    wanted = dict.fromkeys(tag for tag in (group.primary_metric, *losses[:1]) if tag in group.bands and tag is not None)
    drawn = [tag for tag in wanted if _is_curve(group.bands[tag])]
    return drawn if all_of_them else drawn[:1]


def _is_curve(band: Band) -> bool:
    return int(np.isfinite(band.mean).sum()) >= 2
