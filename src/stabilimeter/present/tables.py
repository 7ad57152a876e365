"""What a summary says, as tables: scores, points lost, failures, metrics, incidents, notes."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from stabilimeter.analysis.roles import is_validation
from stabilimeter.analysis.summary import GroupMetric, GroupSummary, RunSummary, Summary
from stabilimeter.present.labels import short_labels
from stabilimeter.present.seeds import finished, seeds_in_words, seeds_named
from stabilimeter.present.table import Cell, Column, Table, Tone, row
from stabilimeter.present.wording import (
    better_when,
    count,
    incident_in_words,
    interval,
    listed,
    mean_and_interval,
    number,
    points,
    printable,
)
from stabilimeter.present.worst import worst_incidents
from stabilimeter.records import keys
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
MAX_METRIC_ROWS = 24
MAX_FAILURES = 12
MAX_INCIDENTS = 10
MAX_NOTES = 20

Named = tuple[str, GroupSummary]
"""A group and the label under which this summary shows it."""


def named_groups(summary: Summary) -> tuple[list[Named], str]:
    """The groups from the most to the least stable under short labels, and what their labels have in common.

    A score without one of its parts may flatter: such groups come after those measured in full, and groups without a
    score last. Ties are in the order of the labels.
    """
    labels, common = short_labels([group.label for group in summary.groups])

    def rank(named: Named) -> tuple[bool, bool, float, str]:
        stability = named[1].stability
        return stability.score is None, bool(stability.not_measured), -(stability.score or 0.0), named[1].label

    return sorted(zip(labels, summary.groups, strict=True), key=rank), common


def sections(summary: Summary) -> list[Table]:
    """Every table that has something to say, in reading order."""
    groups, _ = named_groups(summary)
    makers: list[Callable[[Sequence[Named]], Table | None]] = [
        scores,
        lambda named: points_lost(named, summary.half_points),
        failures,
        lambda named: metrics(named, metric_tags(summary)),
        incidents,
        lambda named: notes(named, summary.notes),
    ]
    tables = [table for maker in makers if (table := maker(groups)) is not None]
    if len(groups) == 1:
        tables = tables[:1] + [t if t.columns[0].name == "metric" else t.without_first_column() for t in tables[1:]]
    return tables


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
    captions = [convention]
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


def failures(groups: Sequence[Named]) -> Table | None:
    """Which seeds failed and why, seeds with the same reason together."""
    rows = []
    for label, group in groups:
        reasons: dict[str, list[RunSummary]] = defaultdict(list)
        for run in group.runs:
            if run.failed:
                reasons[run.failure_reason or "no reason recorded"].append(run)
        for reason, runs in reasons.items():
            rows.append(row(label, seeds_named(runs), Cell(printable(reason), Tone.BAD)))
    if not rows:
        return None
    n_more = len(rows) - MAX_FAILURES
    if n_more > 0:
        rows = [*rows[:MAX_FAILURES], row("...", "", f"{n_more} more in the JSON summary")]
    columns = (Column("group"), Column("seed"), Column("why"))
    return Table("Failed seeds", columns, tuple(rows), heads_needed=False)


def metric_tags(summary: Summary) -> list[str]:
    """The metrics worth a table: the primary one, then others of which it is known which direction is better.

    Those on validation data come first.
    """
    tags = {tag for group in summary.groups for tag, metric in group.metrics.items() if metric.mode is not None}
    known = tags - {keys.LOSS_VAR, keys.LOSS_NOISE}
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


def incidents(groups: Sequence[Named]) -> Table | None:
    """The gravest incidents in words, one row for each kind in each series of a group."""
    labels = {id(group): label for label, group in groups}
    worst = worst_incidents([group for _, group in groups])
    if not worst:
        return None
    rows = []
    for kind in worst[:MAX_INCIDENTS]:
        what = f"{printable(kind.worst.key)} {incident_in_words(kind.worst)}"
        if kind.worst.shared:
            what += f"; shared by {count(len(kind.struck), 'seed')}, so data or schedule"
        if kind.n_events > 1:
            what += f"; the worst of {kind.n_events} in {count(kind.n_seeds, 'seed')}"
        rows.append(row(labels[id(kind.group)], seeds_named(kind.struck, 3), Cell(f"step {kind.worst.step}"), what))
    runs = [run for _, group in groups for run in group.runs]
    total = sum(len(run.incidents) for run in runs)
    title = f"Incidents: {total} in {sum(bool(run.incidents) for run in runs)} of {count(len(runs), 'seed')}"
    if len(worst) > MAX_INCIDENTS:
        title += "; the worst"
    columns = (Column("group"), Column("seed"), Column("step", numeric=True), Column("what"))
    return Table(title, columns, tuple(rows), heads_needed=False)


def notes(groups: Sequence[Named], about_all: Iterable[str]) -> Table | None:
    """Sentences for the reader, the same one about several groups only once."""
    where: dict[str, list[str]] = defaultdict(list)
    for label, group in groups:
        stability = group.stability
        for note in dict.fromkeys([*([stability.reason] if stability.reason else []), *group.notes]):
            where[note].append(label)
    rows = [row("all", printable(note)) for note in about_all]
    for note, labels in where.items():
        everywhere = len(labels) == len(groups)
        rows.append(row("all" if everywhere else listed(labels, 3), printable(note)))
    if len(rows) > MAX_NOTES:
        rows = [*rows[:MAX_NOTES], row("...", f"{len(rows) - MAX_NOTES} more in the JSON summary")]
    columns = (Column("group"), Column("note"))
    return Table("Notes", columns, tuple(rows), heads_needed=False) if rows else None
