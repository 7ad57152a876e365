"""The stability of every group, and where its points went."""

from collections.abc import Sequence

from stabilimeter.analysis.summary import GroupSummary
from stabilimeter.present.ranking import Named
from stabilimeter.present.seeds import finished, seeds_in_words
from stabilimeter.present.table import Cell, Column, Table, Tone, row
from stabilimeter.present.wording import better_when, count, interval, mean_and_interval, points, printable
from stabilimeter.stats.stability import HalfPoints

COMPONENTS = {
    "failures": "failed seeds",
    "spikes": "loss spikes",
    "noise": "loss noise",
    "regression": "worse checkpoints",
    "seed_spread": "seed spread",
}
"""Where points can go, in the order of the summary, and what a reader calls it."""

MAX_POINT_ROWS = 12


def scores(groups: Sequence[Named]) -> Table:
    """One row per group: the score with its two intervals, how its seeds ended, the primary metric."""
    columns = [
        Column("group"),
        Column("stability\n0 to 100", numeric=True),
        Column("95 %\ninterval", numeric=True),
        Column("if seed\nfinishes", numeric=True),
        Column("seeds\nok"),
    ]
    primaries = {group.primary_metric for _, group in groups}
    if primaries != {None}:
        columns.append(Column(_primary_head(groups)))
    rows = []
    for label, group in groups:
        stability = group.stability
        cells = row(
            label,
            Cell(marked_score(group), Tone.STRONG),
            interval(stability.low, stability.high),
            interval(*(stability.given_completion or (None, None))),
            Cell(seeds_in_words(group), Tone.BAD if group.n_failed else Tone.GOOD),
        )
        if primaries != {None}:
            cells += row(_primary(group, named=len(primaries) > 1))
        rows.append(cells)
    captions = []
    if any(group.stability.low is not None for _, group in groups):
        captions.append(
            "The 95 % interval allows for failures that nobody has seen yet, so it is wide with few seeds; "
            "'if seed finishes' leaves that risk out."
        )
    if any(marked_score(group).endswith("*") for _, group in groups):
        captions.append("* without what could not be measured, which may flatter.")
    return Table("", tuple(columns), tuple(rows), " ".join(captions))


def marked_score(group: GroupSummary) -> str:
    """The score, with a star if a part of it could not be measured."""
    stability = group.stability
    return points(stability.score, 1) + ("*" if stability.score is not None and stability.not_measured else "")


def _primary_head(groups: Sequence[Named]) -> str:
    tags = {group.primary_metric for _, group in groups}
    if len(tags) > 1:
        return "primary metric\nmean over seeds"
    tag = tags.pop() or ""
    mode = next((group.metrics[tag].mode for _, group in groups if tag in group.metrics), None)
    return f"{printable(tag)}\n{better_when(mode) or 'mean over seeds'}"


def _primary(group: GroupSummary, *, named: bool) -> str:
    tag = group.primary_metric
    metric = None if tag is None else group.metrics.get(tag)
    if tag is None or metric is None or metric.n == 0:
        return "no value"
    text = mean_and_interval(metric)
    if metric.n != len(finished(group)):
        text += f" (n={metric.n})"
    return f"{printable(tag)} {text}" if named else text


def points_lost(groups: Sequence[Named], half: HalfPoints) -> Table | None:
    """Points of 100 that each component took from each group, and by which conventions."""
    scored = [named for named in groups if named[1].stability.score is not None]
    if not scored:
        return None
    columns = [Column("group"), *(Column(words.replace(" ", "\n"), numeric=True) for words in COMPONENTS.values())]
    rows = [row(label, *_lost(group)) for label, group in scored]
    if len(rows) > MAX_POINT_ROWS:
        ends = MAX_POINT_ROWS // 2
        between = row(f"... {count(len(rows) - 2 * ends, 'group')} between ...", *[""] * len(COMPONENTS))
        rows = rows[:ends] + [between] + rows[-ends:]
    convention = (
        f"Half marks (conventions, version {half.version}): a loss spike in {half.spikes:.2g} of the steps; of the "
        f"progress from start to end, noise {half.noise:.2g}, worse checkpoints {half.regression:.2g}, "
        f"seed spread {half.seed_spread:.2g}."
    )
    captions = [convention, *([f"Changed: {', '.join(half.changes)}."] if half.changes else [])]
    texts = {cell.text for cells in rows for cell in cells[1:]}
    if "n/m" in texts:
        captions.append("n/m: not measured, left out of the score.")
    if any(text.endswith("*") for text in texts):
        captions.append("*: not measured in every seed.")
    return Table("Where the points went, of 100", tuple(columns), tuple(rows), " ".join(captions))


def _lost(group: GroupSummary) -> list[Cell]:
    lost = group.stability.points_lost
    worst = max(lost.values(), default=0.0)
    cells = []
    for component in COMPONENTS:
        value, partly = lost.get(component, 0.0), component in group.stability.not_measured
        if partly and value == 0:
            cells.append(Cell("n/m", Tone.FAINT))
        else:
            tone = Tone.STRONG if value == worst and value > 0 else Tone.PLAIN
            cells.append(Cell(points(value, 1) + ("*" if partly else ""), tone))
    return cells
