"""A comparison in words: one plain sentence, one table, what these seeds can show at all."""

from rich.console import Group, RenderableType
from rich.text import Text

from stabilimeter.analysis.comparison import Answer, Comparison, Margin, MetricComparison, Pair
from stabilimeter.present.table import Cell, Column, Table, Tone, row
from stabilimeter.present.terminal import draw
from stabilimeter.present.wording import MISSING, better_when, count, number, points, printable
from stabilimeter.records import strict_json
from stabilimeter.stats.power import ALPHA

STYLES = {Answer.BETTER: "green", Answer.WORSE: "red", Answer.EQUIVALENT: "cyan", Answer.INCONCLUSIVE: "yellow"}
TONES = {
    Answer.BETTER: Tone.GOOD,
    Answer.WORSE: Tone.BAD,
    Answer.EQUIVALENT: Tone.PLAIN,
    Answer.INCONCLUSIVE: Tone.PLAIN,
}


def comparison_json(comparison: Comparison) -> str:
    """The text of ``compare --json``."""
    return strict_json.dumps({**comparison.to_dict(), "sentence": sentence(comparison)}, indent=1) + "\n"


def render_comparison(comparison: Comparison) -> RenderableType:
    """The comparison as something ``rich`` can print."""
    verdict, _, why = sentence(comparison).partition(":")
    parts: list[RenderableType] = [Text(verdict, style=f"bold {STYLES[comparison.verdict]}").append(f":{why}", "none")]
    tables = [main_table(comparison), *(reach(tag, metric) for tag, metric in comparison.deciding.items())]
    notes = notes_table(comparison)
    for table in [*tables, *([notes] if notes is not None else [])]:
        parts += [Text(), draw(table)]
    return Group(Text(), *parts, Text())


def sentence(comparison: Comparison) -> str:
    """The answer in one sentence for a reader who reads nothing else."""
    failures = comparison.failures
    reasons = []
    if failures.new:
        reasons.append(f"{_failed(comparison, 1)} failed, {_failed(comparison, 0)}")
    elif failures.p <= ALPHA:
        reasons.append(f"only {_failed(comparison, 1)} failed, {_failed(comparison, 0)}")
    reasons += [_metric_in_words(tag, metric) for tag, metric in comparison.deciding.items()]
    if not comparison.deciding:
        reasons.append("too few seeds survived to compare a metric")
    reasons += _steadiness(comparison)
    return f"{comparison.verdict.value.capitalize()}: {'; '.join(reasons)}."


def _failed(comparison: Comparison, side: int) -> str:
    k, n = comparison.failures.k[side], comparison.failures.n[side]
    return f"{k} of {n} seeds of the {('baseline', 'candidate')[side]}"


def _metric_in_words(tag: str, metric: MetricComparison) -> str:
    name = printable(tag)
    seeds = f"{metric.n[0]} pairs of seeds" if metric.paired else _per_side(metric)
    shown = f"{_signed(metric.difference)} {_interval(metric.ci)}"
    if metric.answer in (Answer.BETTER, Answer.WORSE):
        small = metric.margin is not None and abs(metric.difference) < metric.margin
        than = f", less than the margin of {_margin(metric)}" if small else ""
        return (
            f"{name} is {metric.answer.value}, {number(metric.mean[1])} against {number(metric.mean[0])} "
            f"({shown}, p = {p_value(metric.p)}, {seeds}){than}"
        )
    if metric.answer is Answer.EQUIVALENT:
        if metric.margin is None:
            return f"{name} is the same in all of {seeds}"
        return f"{name} differs by less than {_margin(metric)} ({shown}, {seeds})"
    if metric.p_min > ALPHA:
        return (
            f"{seeds} cannot tell {name} apart whatever they show (the smallest p they can reach is "
            f"{p_value(metric.p_min)}); the difference is {shown}"
        )
    return f"{seeds} do not tell {name} apart ({shown}, p = {p_value(metric.p)}){_needs(metric)}"


def _per_side(metric: MetricComparison) -> str:
    if metric.n[0] == metric.n[1]:
        return f"{metric.n[0]} seeds on each side"
    return f"{metric.n[0]} against {count(metric.n[1], 'seed')}"


def _needs(metric: MetricComparison) -> str:
    needs = []
    if metric.seeds_needed is not None:
        needs.append(f"{metric.seeds_needed} to confirm such a difference")
    if metric.seeds_for_equivalence is not None:
        needs.append(f"{metric.seeds_for_equivalence} to show equivalence")
    return f": it would take about {' or '.join(needs)}, on each side" if needs else ""


def _steadiness(comparison: Comparison) -> list[str]:
    stability, spread = comparison.stability, comparison.spread
    found = []
    if stability.answer is not Answer.INCONCLUSIVE and None not in stability.score:
        word = "more" if stability.answer is Answer.BETTER else "less"
        found.append(f"it is {word} stable, score {points(stability.score[1])} against {points(stability.score[0])}")
    if spread.answer is not Answer.INCONCLUSIVE and spread.sd is not None:
        word = "less" if spread.answer is Answer.BETTER else "more"
        found.append(f"its seeds scatter {word}, SD {number(spread.sd[1], 2)} against {number(spread.sd[0], 2)}")
    return found


def main_table(comparison: Comparison) -> Table:
    """Baseline and candidate side by side: metrics, their spread, failed seeds, stability."""
    several = len(comparison.metrics) > 1
    columns = [Column(""), Column("baseline"), Column("candidate"), Column("difference"), Column("95 % interval")]
    columns += [Column("p"), *([Column("p, Holm")] if several else []), Column("")]
    columns = [Column(column.name, numeric=0 < index < len(columns) - 1) for index, column in enumerate(columns)]
    rows = [_metric_row(tag, metric, several=several) for tag, metric in comparison.metrics.items()]
    spread, failures, stability = comparison.spread, comparison.failures, comparison.stability
    holm = [""] if several else []
    if spread.sd is not None and spread.metric is not None:
        ratio = MISSING if spread.ratio is None else f"x {number(spread.ratio, 3)}"
        name = "SD over seeds" if not several else f"SD over seeds, {printable(spread.metric)}"
        pair = [number(sd, 2) for sd in spread.sd]
        rows.append(row(name, *pair, ratio, "", p_value(spread.p), *holm, _told(spread.answer, "narrower", "wider")))
    rates = [f"{k} of {n}" for k, n in zip(failures.k, failures.n, strict=True)]
    more = Cell("more", Tone.BAD) if failures.new else Cell("")
    rows.append(row("failed seeds", *rates, "", "", p_value(failures.p), *holm, more))
    scores = [points(score, 1) for score in stability.score]
    rows.append(row("stability", *scores, _points(stability.difference), _point_range(stability.ci), "", *holm, ""))
    rows.append(
        row(
            "  if seeds finish",
            *["", ""],
            _points(stability.given_completion),
            _point_range(stability.given_completion_ci),
            *["", *holm],
            _told(stability.answer, "more stable", "less stable"),
        )
    )
    return Table("", tuple(columns), tuple(rows), _caption(comparison))


def _metric_row(tag: str, metric: MetricComparison, *, several: bool) -> tuple[Cell, ...]:
    direction = better_when(metric.mode)
    cells = [f"{printable(tag)} ({direction})", number(metric.mean[0]), number(metric.mean[1])]
    cells += [_signed(metric.difference), _interval(metric.ci), p_value(metric.p)]
    cells += [p_value(metric.p_holm)] if several else []
    return row(*cells, Cell(metric.answer.value, TONES[metric.answer]))


def _caption(comparison: Comparison) -> str:
    metrics = list(comparison.metrics.values())
    if not metrics:
        return ""
    paired = {metric.paired for metric in metrics}
    test = "sign-flip test over pairs of the same seed" if paired == {True} else "permutation test of the means"
    exact = "exact" if all(metric.exact for metric in metrics) else "sampled"
    decides = ""
    if len(metrics) > 1 and comparison.primary_metric is not None:
        decides = f" {printable(comparison.primary_metric)} decides, by its own p."
    means = "Means over the seeds that did not fail. " if any(comparison.failures.k) else ""
    return f"{means}p: {exact} {test}, two-sided; Fisher's for failed seeds, Brown-Forsythe's for the SD.{decides}"


def reach(tag: str, metric: MetricComparison) -> Table:
    """What these seeds can show at all, and what more of them could."""
    needed, equal = metric.seeds_needed, metric.seeds_for_equivalence
    rows = [
        row("a run of the candidate is better than one of the baseline", f"{100 * metric.p_candidate_better:.0f} %"),
        row("margin within which a difference does not matter", _margin(metric)),
        row("smallest p that so many seeds can give", p_value(metric.p_min)),
        row("to confirm a difference as large as this one", _seeds(needed)),
        row("to show that there is none larger than the margin", _seeds(equal)),
    ]
    columns = (Column("what"), Column("value"))
    return Table(f"What these seeds can say about {printable(tag)}", columns, tuple(rows), heads_needed=False)


def _seeds(n: int | None) -> str:
    return "no number of seeds below 10,000 would do" if n is None else f"{n} seeds on each side (80 % power)"


def notes_table(comparison: Comparison) -> Table | None:
    """Sentences for the reader."""
    notes = list(comparison.notes)
    if comparison.stability.reason is not None:
        notes.append(f"stability difference without an interval: {comparison.stability.reason}")
    if not notes:
        return None
    return Table("Notes", (Column("note"),), tuple(row(printable(note)) for note in notes), heads_needed=False)


def p_value(p: float | None) -> str:
    """A p with two significant digits.

    >>> p_value(0.0079365), p_value(1.08e-05), p_value(1.0), p_value(None)
    ('0.0079', '1.1e-05', '1', '-')
    """
    return MISSING if p is None else f"{p:.2g}"


def _margin(metric: MetricComparison) -> str:
    if metric.margin is None:
        return "none: the baseline has no spread over seeds, so give one with --margin"
    where = " (the baseline's SD over seeds)" if metric.margin_from is Margin.SEED_SD else " (given)"
    return f"{number(metric.margin, 2)}{where}"


def _signed(value: float) -> str:
    return f"+{number(value, 2)}" if value > 0 else number(value, 2)


def _interval(limits: Pair) -> str:
    return f"[{', '.join(_signed(limit) for limit in limits)}]"


def _points(value: float | None) -> str:
    return MISSING if value is None else f"{value:+.1f}"


def _point_range(limits: Pair | None) -> str:
    return MISSING if limits is None else f"[{limits[0]:+.1f}, {limits[1]:+.1f}]"


def _told(answer: Answer, better: str, worse: str) -> Cell:
    return Cell({Answer.BETTER: better, Answer.WORSE: worse}.get(answer, ""), TONES[answer])
