"""What a summary says, as tables in reading order."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from stabilimeter.analysis.summary import RunSummary, Summary
from stabilimeter.present.example_table import example_agreement
from stabilimeter.present.metric_table import metric_tags, metrics
from stabilimeter.present.ranking import Named, named_groups
from stabilimeter.present.score_tables import points_lost, scores
from stabilimeter.present.seeds import seeds_named
from stabilimeter.present.shipping import shipments
from stabilimeter.present.table import Cell, Column, Table, Tone, row
from stabilimeter.present.target_table import target_times
from stabilimeter.present.wording import count, incident_in_words, listed, printable
from stabilimeter.present.worst import worst_incidents

MAX_FAILURES = 12
MAX_INCIDENTS = 10
MAX_NOTES = 20


def sections(summary: Summary) -> list[Table]:
    """Every table that has something to say, in reading order."""
    groups, _ = named_groups(summary)
    makers: list[Callable[[Sequence[Named]], Table | None]] = [
        scores,
        lambda named: points_lost(named, summary.half_points),
        failures,
        lambda named: metrics(named, metric_tags(summary)),
        target_times,
        example_agreement,
        incidents,
        shipments,
        lambda named: notes(named, summary.notes),
    ]
    tables = [table for maker in makers if (table := maker(groups)) is not None]
    if len(groups) == 1:
        tables = tables[:1] + [t if t.columns[0].name == "metric" else t.without_first_column() for t in tables[1:]]
    return tables


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
