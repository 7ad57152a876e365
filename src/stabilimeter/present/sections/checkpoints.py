"""Checkpoints: the best evaluation of each seed, and whether its quality held to the end."""

from stabilimeter.present.report_parts import Material, Section
from stabilimeter.present.seeds import seeds_named
from stabilimeter.present.shipping import shipments
from stabilimeter.present.table import Cell, Column, Table, Tone, row
from stabilimeter.present.wording import better_when, count, number, printable

MAX_ROWS = 60


def checkpoints(material: Material) -> Section | None:
    """Best and last evaluation of the primary metric; None where no group has one whose better direction is known."""
    rows, n_best_last, falls = [], 0, []
    for label, group in material.named:
        tag = group.primary_metric
        mode = group.metrics[tag].mode if tag is not None and tag in group.metrics else None
        if tag is None or mode is None:
            continue
        for run in group.runs:
            metric = run.metrics.get(tag)
            if metric is None or run.copy_of is not None:
                continue
            regression = run.scores.get("checkpoint_regression")
            n_best_last += metric.best is not None and metric.final == metric.best
            falls += [] if regression is None else [regression]
            rows.append(
                row(
                    label,
                    Cell(seeds_named([run]), Tone.BAD if run.failed else Tone.PLAIN),
                    f"{printable(tag)}, {better_when(mode)}",
                    number(metric.best),
                    "-" if metric.best_step is None else str(metric.best_step),
                    number(metric.final),
                    str(metric.n_points) + (f" ({metric.n_nonfinite} not finite)" if metric.n_nonfinite else ""),
                    number(regression, 2),
                )
            )
    if not rows:
        return None
    text = f"The last evaluation is the best one in {n_best_last} of {count(len(rows), 'seed')}."
    if falls:
        fall = f"{number(max(falls), 2)} of what training gained" if max(falls) > 0 else "none"
        text += f" Furthest fall below the best so far, beyond noise, in seeds where it was measured: {fall}."
    if len(rows) > MAX_ROWS:
        rows = [*rows[:MAX_ROWS], row("...", f"{len(rows) - MAX_ROWS} more", *[""] * 6)]
    names = ("best", "at step", "at the end", "evaluations", "fell back")
    columns = (Column("group"), Column("seed"), Column("metric"), *(Column(name, numeric=True) for name in names))
    caption = (
        "Fell back: mean of the worst 5 % of falls below the best so far, less what noise explains, as a share of what "
        "training gained (0.1 costs half the credit)."
    )
    table = Table("Best and last evaluation of each seed", columns, tuple(rows), caption)
    tables = tuple(material.grouped(one) for one in (table, shipments(material.named)) if one is not None)
    return Section("Checkpoints", "Did quality hold to the end of training?", text, tables)
