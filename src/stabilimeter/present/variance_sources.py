"""Where the spread between seeds comes from, in words and as a table."""

from rich.console import Group, RenderableType
from rich.text import Text

from stabilimeter.analysis.variance_sources import SourceShare, VarianceReport
from stabilimeter.present.table import Cell, Column, Table, Tone, row
from stabilimeter.present.terminal import draw
from stabilimeter.present.wording import MISSING, count, number, printable
from stabilimeter.stats.intervals import Interval

NAMES = {"init": "initial weights", "order": "order of the data", "noise": "noise in training", "split": "split"}


def source_name(source: SourceShare) -> str:
    """What a reader calls it."""
    return NAMES.get(source.name, printable(source.name))


def variance_sentences(report: VarianceReport) -> tuple[str, ...]:
    """The answer: how much the metric varies, what of it comes from where, and whether the parts make the whole."""
    metric = printable(report.metric)
    spread = (
        f"Over {count(report.n, 'run')} in which every seed differs, {metric} is {number(report.mean)} with a standard "
        f"deviation of {number(report.joint_sd, 2)}{_within(report.joint_ci)}."
    )
    ordered = sorted(report.sources, key=lambda source: -source.sd)
    parts = ", ".join(f"{source_name(source)} {_percent(source.share.value)}" for source in ordered)
    where = f"Its variance comes from: {parts}."
    idle = [source_name(source) for source in report.sources if source.changes_nothing]
    none = f" Nothing at all changes with: {', '.join(idle)}." if idle else ""
    return tuple(filter(None, (spread, where + none, _sum_in_words(report))))


def _sum_in_words(report: VarianceReport) -> str:
    excess = report.excess
    if excess is None:
        return ""
    if excess.low <= 0 <= excess.high:
        return (
            f"One at a time the sources add up to a standard deviation of {number(report.sum_sd, 2)}"
            f"{_within(report.sum_ci)}, in keeping with that of all together."
        )
    relation, why = "less", "something else varies"
    if excess.low > 0:
        relation, why = "more", "the sources act through each other"
    return (
        f"One at a time the sources add up to {relation} than all together, {number(report.sum_sd, 2)}"
        f"{_within(report.sum_ci)}: {why}, so that the shares describe single changes only."
    )


def variance_table(report: VarianceReport) -> Table:
    """One row per source, then their sum, and all together."""
    rows = [
        row(
            source_name(source),
            number(source.sd, 3),
            _limits(source.sd_ci),
            _percent(source.share.value),
            f"{100 * source.share.low:.0f} to {100 * source.share.high:.0f} %" if source.sd_ci else MISSING,
            f"{source.n_pairs} pairs",
            Cell(f"{source.n_failed} failed", Tone.BAD) if source.n_failed else "",
        )
        for source in report.sources
    ]
    rows.append(row("sum of these", number(report.sum_sd, 3), _limits(report.sum_ci), "", "", "", ""))
    failed = Cell(f"{report.n_failed} failed", Tone.BAD) if report.n_failed else ""
    together = Cell("all together", Tone.STRONG)
    joint = Cell(number(report.joint_sd, 3), Tone.STRONG)
    rows.append(row(together, joint, _limits(report.joint_ci), "", "", count(report.n, "run"), failed))
    heads = ("source", "SD", "95 % interval", "share of variance", "95 % interval", "from", "")
    columns = tuple(Column(head, numeric=0 < index < 6) for index, head in enumerate(heads))
    caption = (
        f"SD of the final {printable(report.metric)} when that source alone has another seed. Intervals: chi-square "
        "for SDs, F for shares; wide because the pairs are few."
    )
    return Table("", columns, tuple(rows), caption)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share == share else MISSING


def _limits(limits: Interval | None) -> str:
    return MISSING if limits is None else f"{number(limits[0], 3)} to {number(limits[1], 3)}"


def _within(limits: Interval | None) -> str:
    return "" if limits is None else f" (95 % interval {number(limits[0], 2)} to {number(limits[1], 2)})"


def render_variance_report(report: VarianceReport) -> RenderableType:
    """The report for the terminal."""
    first, *others = variance_sentences(report)
    parts: list[RenderableType] = [Text(), Text(first, style="bold"), *(Text(said) for said in others)]
    return Group(*parts, Text(), draw(variance_table(report)), *(Text(f"  {note}", "yellow") for note in report.notes))
