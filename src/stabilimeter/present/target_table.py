"""When the seeds reached their target."""

from collections.abc import Sequence

from stabilimeter.present.ranking import Named
from stabilimeter.present.table import Cell, Column, Table, Tone, row
from stabilimeter.present.wording import MISSING, printable


def target_times(groups: Sequence[Named]) -> Table | None:
    """Step in the median over seeds; None if no target was given."""
    rows = []
    for label, group in groups:
        times = group.time_to_target
        if times is None:
            continue
        steps = [run.target_step for run in group.runs if run.target_step is not None]
        median = f"{times.median:.10g}" if times.median is not None else "not reached"
        tone = Tone.PLAIN if times.n_reached == times.n else Tone.BAD
        reached = Cell(f"{times.n_reached} of {times.n}", tone)
        rows.append(
            row(
                label,
                printable(group.primary_metric or ""),
                f"{times.target:g}",
                reached,
                median,
                *([str(min(steps)), str(max(steps))] if steps else [MISSING, MISSING]),
            )
        )
    if not rows:
        return None
    heads = ("target", "reached by", "median step", "first", "last")
    columns = (Column("group"), Column("metric"), *(Column(head, numeric=True) for head in heads))
    caption = "In the median a seed that never reached the target counts as later than any other."
    return Table("Steps until the target", columns, tuple(rows), caption)
