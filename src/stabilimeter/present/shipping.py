"""Which checkpoint to ship."""

from collections.abc import Sequence

from stabilimeter.analysis.summary import GroupSummary
from stabilimeter.present.ranking import Named
from stabilimeter.present.table import Cell, Column, Table, Tone, row
from stabilimeter.present.wording import printable


def shipments(groups: Sequence[Named]) -> Table | None:
    """The checkpoint to ship of each group, and in the row below it why; None where nobody has judged any.

    A group that saved no checkpoint has none to ship, which is no news; one that has lost all to a sick run has.
    """
    rows = []
    for label, group in groups:
        if group.ship is not None:
            rows.append(row(label, Cell(printable(group.ship.path), Tone.STRONG)))
            rows.append(row("", printable(group.ship.reason)))
        elif _has_unhealthy(group):
            reasons = {run.checkpoints.reason for run in group.runs if run.checkpoints is not None}
            rows.append(row(label, Cell(f"none: {printable('; '.join(sorted(filter(None, reasons))))}", Tone.BAD)))
    columns = (Column("group"), Column("checkpoint, and why"))
    return Table("Checkpoint to ship", columns, tuple(rows), heads_needed=False) if rows else None


def _has_unhealthy(group: GroupSummary) -> bool:
    return any(run.checkpoints is not None and run.checkpoints.n_unhealthy for run in group.runs)
