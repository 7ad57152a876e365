"""Seeds: which failed, what the others reached, and how training went."""

from collections import Counter

from stabilimeter.analysis.roles import roles_in
from stabilimeter.analysis.summary import GroupSummary, RunSummary
from stabilimeter.present.metric_table import metric_tags, metrics
from stabilimeter.present.report_parts import Block, Line, Material, Prose, Section, SeedChart, SeedCharts
from stabilimeter.present.seeds import UNFINISHED, finished, seeds_named
from stabilimeter.present.table import Cell, Column, Table, Tone, row
from stabilimeter.present.tables import failures
from stabilimeter.present.wording import MISSING, count, number, points, printable

MAX_CHARTED_GROUPS = 12
MAX_LINES = 24
"""More single seeds than this hide each other."""
MAX_SEED_ROWS = 60
ENDS = {"nonfinite": "ended as NaN", "no_progress": "learned nothing", "target_missed": "missed the target"}
"""What some of the words mean with which a failure reason starts; the others speak for themselves."""


def seeds(material: Material) -> Section:
    """Failed seeds, final values over seeds, curves, and every seed on its own."""
    blocks: list[Block] = []
    failed = failures(material.named)
    if failed is not None:
        blocks.append(material.grouped(failed))
    final = metrics(material.named, metric_tags(material.summary))
    if final is not None:
        blocks.append(final)
    blocks += _all_charts(material)
    blocks.append(material.grouped(_every_seed(material)))
    return Section("Seeds", "Does it work with every seed, and do the seeds agree?", _answer(material), tuple(blocks))


def _answer(material: Material) -> str:
    groups = [group for _, group in material.named]
    n_finished, n_failed = sum(len(finished(group)) for group in groups), sum(group.n_failed for group in groups)
    text = f"{n_finished - n_failed} of {count(n_finished, 'finished seed')} trained."
    failed = [run for group in groups for run in group.runs if run.failed]
    words = Counter((run.failure_reason or "failed").partition(":")[0] for run in failed)
    if words:
        reasons = [f"{n} {ENDS.get(word, printable(word))}" for word, n in words.most_common()]
        text += f" Failed: {', '.join(reasons)}."
    spreads = [
        (label, group.stability.points_lost["seed_spread"])
        for label, group in material.named
        if "seed_spread" in group.stability.points_lost and "seed_spread" not in group.stability.not_measured
    ]
    widest = max(spreads, key=lambda pair: pair[1], default=None)
    if widest is None or widest[1] < 1:
        return text + (" The seeds that trained agree closely." if spreads and n_finished > n_failed else "")
    where = f" most in {widest[0]}" if len(material.named) > 1 else ""
    return f"{text} Differences between the seeds that trained cost{where}: {points(widest[1], 1)} of 100 points."


def _all_charts(material: Material) -> list[Block]:
    ordered = sorted(material.named, key=lambda named: -named[1].n_failed)
    blocks: list[Block] = []
    for label, group in ordered[:MAX_CHARTED_GROUPS]:
        charts = _charts(material, group)
        if charts:
            blocks.append(SeedCharts(label, charts))
    if len(ordered) > MAX_CHARTED_GROUPS:
        n_more = count(len(ordered) - MAX_CHARTED_GROUPS, "more group")
        blocks.append(Prose(f"{n_more} without a picture here; the Stability tab draws them.", Tone.FAINT))
    return blocks


def _charts(material: Material, group: GroupSummary) -> tuple[SeedChart, ...]:
    """Every seed for itself where some failed, as long as they are few; else their range, and those that failed."""
    runs = material.runs_of(group).runs
    roles = roles_in(runs)
    lost_at = {seed.run.path: seed.lost_at for seed in material.failed_in(group)}
    charts = []
    for tag in dict.fromkeys((roles.train_loss, group.primary_metric, roles.grad_norm)):
        having = [(run, own) for run, own in zip(runs, group.runs, strict=True) if tag in run and own.copy_of is None]
        if tag is None or not having:
            continue
        failed = [pair for pair in having if pair[1].failed]
        band = group.bands.get(tag) if len(having) > MAX_LINES or (len(having) > 1 and not failed) else None
        shown = having[:MAX_LINES] if band is None else failed[:MAX_LINES]
        lines = tuple(
            Line(seeds_named([own]), run[tag].steps, run[tag].values, own.failed, lost_at.get(own.path))
            for run, own in shown
        )
        charts.append(SeedChart(printable(tag), band, lines))
    return tuple(charts)


def _every_seed(material: Material) -> Table:
    rows = [
        row(label, seeds_named([run]), _state(run), _step(run), _final(group, run), _quality(run))
        for label, group in material.named
        for run in group.runs
    ]
    n_more = len(rows) - MAX_SEED_ROWS
    if n_more > 0:
        rows = [*rows[:MAX_SEED_ROWS], row("...", f"{n_more} more in the JSON summary", "", "", "", "")]
    heads = (Column("group"), Column("seed"), Column("state"), Column("last step", numeric=True))
    columns = (*heads, Column("primary metric\nat the end", numeric=True), Column("quality\n0 to 1", numeric=True))
    caption = "Quality: how steadily this seed trained, 1 at best. A failed seed counts as zero."
    return Table("Every seed", columns, tuple(rows), caption)


def _state(run: RunSummary) -> Cell:
    if run.copy_of is not None:
        return Cell(f"copy of {printable(run.copy_of)}", Tone.FAINT)
    if run.failed:
        return Cell("failed", Tone.BAD)
    return Cell(run.status, Tone.FAINT) if run.status in UNFINISHED else Cell("trained", Tone.GOOD)


def _step(run: RunSummary) -> str:
    return MISSING if run.last_step is None else str(run.last_step)


def _final(group: GroupSummary, run: RunSummary) -> str:
    metric = run.metrics.get(group.primary_metric) if group.primary_metric is not None else None
    return MISSING if metric is None else number(metric.final)


def _quality(run: RunSummary) -> str:
    return MISSING if run.failed else number(run.scores.get("quality"), 3)
