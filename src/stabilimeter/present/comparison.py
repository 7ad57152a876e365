"""A comparison in words: one plain sentence, one table, what these seeds can show at all."""

import math

from rich.console import Group, RenderableType
from rich.text import Text

from stabilimeter.analysis.comparison import Answer, Comparison, Margin, MetricComparison, Pair, SpreadComparison
from stabilimeter.present.score_tables import COMPONENTS
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
    labels = [printable(label) for label in comparison.labels]
    parts: list[RenderableType] = [
        Text(verdict, style=f"bold {STYLES[comparison.verdict]}").append(f":{why}", "none"),
        Text(f"baseline: {labels[0]}; candidate: {labels[1]}", style="dim"),
    ]
    tables = [main_table(comparison), *(reach(tag, metric) for tag, metric in comparison.deciding.items())]
    notes = notes_table(comparison)
    for table in [*tables, *([notes] if notes is not None else [])]:
        parts += [Text(), draw(table)]
    return Group(Text(), *parts, Text())


def sentence(comparison: Comparison) -> str:
    """The answer in one sentence for a reader who reads nothing else."""
    failures = comparison.failures
    reasons = []
    if failures.new or failures.p <= ALPHA:
        reasons.append(f"{_failed(comparison, 1)} failed, {_failed(comparison, 0)}")
    reasons += [_metric_in_words(tag, comparison) for tag in comparison.deciding]
    if not comparison.deciding:
        reasons.append("too few seeds survived to compare a metric")
    reasons += _steadiness(comparison)
    return f"{comparison.verdict.value.capitalize()}: {'; '.join(reasons)}."


def _failed(comparison: Comparison, side: int) -> str:
    k, n = comparison.failures.k[side], comparison.failures.n[side]
    return f"{k} of {n} seeds of the {('baseline', 'candidate')[side]}"


def _metric_in_words(tag: str, comparison: Comparison) -> str:
    metric, name, p = comparison.metrics[tag], printable(tag), p_value(decisive_p(comparison, tag))
    seeds = f"{metric.n[0]} pairs of seeds" if metric.paired else _per_side(metric)
    shown = f"{_signed(metric.difference)} {_interval(metric.ci)}"
    if metric.answer in (Answer.BETTER, Answer.WORSE):
        said = "is" if metric.answer is comparison.verdict else f"is {metric.answer.value},"
        small = metric.margin is not None and abs(metric.difference) < metric.margin
        than = f", less than {_limit(metric)}" if small else ""
        baseline, candidate = means_in_words(metric)
        return f"{name} {said} {candidate} against {baseline} ({shown}, p = {p}, {seeds}){than}"
    if metric.answer is Answer.EQUIVALENT:
        if metric.margin is None:
            return f"{name} is {number(metric.mean[0])} in every seed of both sides"
        return f"{name} differs by less than {_limit(metric)} ({shown}, {seeds})"
    if metric.p_min > ALPHA:
        smallest = p_value(metric.p_min)
        return f"{seeds} cannot tell {name} apart, their smallest possible p is {smallest} ({shown}){_needs(metric)}"
    return f"{seeds} do not tell {name} apart ({shown}, p = {p}){_needs(metric)}"


def _per_side(metric: MetricComparison) -> str:
    if metric.n[0] == metric.n[1]:
        return f"{metric.n[0]} seeds on each side"
    return f"{metric.n[0]} against {count(metric.n[1], 'seed')}"


def _needs(metric: MetricComparison) -> str:
    needs = []
    if metric.seeds_needed is not None:
        needs.append(f"{metric.seeds_needed} seeds on each side to confirm such a difference")
    if metric.seeds_for_equivalence is not None:
        unit = "" if needs else " seeds on each side"
        needs.append(f"{metric.seeds_for_equivalence}{unit} to show equivalence")
    return f": it would take about {', or '.join(needs)}" if needs else ""


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
    heads = ("", "baseline", "candidate", "difference", "95 % interval", "p")
    columns = [Column(head, numeric=index > 0) for index, head in enumerate(heads)] + [Column("")]
    rows = []
    for tag, metric in comparison.metrics.items():
        rows.append(_metric_row(tag, metric, decisive_p(comparison, tag)))
        if tag == comparison.spread.metric:
            rows.append(_spread_row(comparison.spread))
    failures, stability = comparison.failures, comparison.stability
    rates = [f"{k} of {n}" for k, n in zip(failures.k, failures.n, strict=True)]
    more = Cell("more", Tone.BAD) if failures.new else Cell("")
    rows.append(row("failed seeds", *rates, "", "", p_value(failures.p), more))
    scores = [points(score, 1) for score in stability.score]
    whole = (_points(stability.difference), _point_range(stability.ci))
    given = (_points(stability.given_completion), _point_range(stability.given_completion_ci))
    told = _told(stability.answer, "more stable", "less stable")
    rows += [row("stability", *scores, *whole, "", ""), row("  if seeds finish", "", "", *given, "", told)]
    return Table("", tuple(columns), tuple(rows), _caption(comparison))


def decisive_p(comparison: Comparison, tag: str) -> float:
    """The p that a metric is judged by: its own for the primary metric, else Holm's."""
    metric = comparison.metrics[tag]
    return metric.p if tag == comparison.primary_metric else metric.p_holm


def _metric_row(tag: str, metric: MetricComparison, p: float) -> tuple[Cell, ...]:
    cells = [printable(tag), *means_in_words(metric)]
    cells += [_signed(metric.difference), _interval(metric.ci), p_value(p)]
    return row(*cells, Cell(metric.answer.value, TONES.get(metric.answer, Tone.PLAIN)))


def _spread_row(spread: SpreadComparison) -> tuple[Cell, ...]:
    sds = [MISSING, MISSING] if spread.sd is None else [number(sd, 2) for sd in spread.sd]
    ratio = MISSING if spread.ratio is None else f"x {number(spread.ratio, 2)}"
    return row("  SD over seeds", *sds, ratio, "", p_value(spread.p), _told(spread.answer, "narrower", "wider"))


def _caption(comparison: Comparison) -> str:
    metrics = list(comparison.metrics.values())
    if not metrics:
        return ""
    test = "sign-flip test over pairs of the same seed" if metrics[0].paired else "permutation test of the means"
    kind = "exact" if all(metric.exact for metric in metrics) else "sampled"
    means = "Means are over the seeds that did not fail. " if any(comparison.failures.k) else ""
    decides = ""
    if len(metrics) > 1:
        primary = comparison.primary_metric
        decides = " All metrics decide, their p adjusted after Holm."
        if primary is not None:
            decides = f" {printable(primary)} decides; the p of the other metrics is adjusted after Holm."
    return f"{means}p: {kind} {test}, two-sided; Fisher's for failed seeds, Brown and Forsythe's for the SD.{decides}"


def reach(tag: str, metric: MetricComparison) -> Table:
    """What these seeds can show at all, and what more of them could."""
    rows = [
        row("chance to beat the baseline", f"{100 * metric.p_candidate_better:.0f} %, run against run"),
        row("margin that does not matter", _margin(metric)),
        row("smallest p possible", p_value(metric.p_min)),
        row("to confirm this difference", _seeds(metric.seeds_needed)),
    ]
    if metric.answer is Answer.INCONCLUSIVE:
        rows.append(row("to show equivalence", _seeds(metric.seeds_for_equivalence)))
    columns = (Column("what"), Column("value"))
    return Table(
        f"What these seeds can say about {printable(tag)} ({better_when(metric.mode)})",
        columns,
        tuple(rows),
        heads_needed=False,
    )


def _seeds(n: int | None) -> str:
    return "not if the difference stays as it is" if n is None else f"{n} seeds on each side (80 % power)"


def notes_table(comparison: Comparison) -> Table | None:
    """Sentences for the reader."""
    notes = list(comparison.notes)
    stability = comparison.stability
    if stability.reason is not None:
        notes.append(f"stability: no interval of the difference: {stability.reason}")
    elif stability.not_measured:
        missing = ", ".join(COMPONENTS[name] for name in stability.not_measured)
        notes.append(f"stability: not measured in every seed and left out: {missing}")
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


def means_in_words(metric: MetricComparison) -> tuple[str, str]:
    """Both means, to two digits of the uncertainty of their difference."""
    margin = (metric.ci[1] - metric.ci[0]) / 2
    exponent = math.floor(math.log10(margin)) if margin > 0 else math.inf
    if not -6 <= exponent < 6 or max(map(abs, metric.mean)) >= 1e7:
        return number(metric.mean[0]), number(metric.mean[1])
    decimals = max(0, 1 - int(exponent))
    return f"{metric.mean[0]:.{decimals}f}", f"{metric.mean[1]:.{decimals}f}"


def _limit(metric: MetricComparison) -> str:
    if metric.margin_from is Margin.SEED_SD:
        return f"{number(metric.margin, 2)}, the baseline's SD over seeds"
    return f"the margin of {number(metric.margin, 2)}"


def _signed(value: float) -> str:
    return f"+{number(value, 2)}" if value > 0 else number(value, 2)


def _interval(limits: Pair) -> str:
    return f"[{', '.join(_signed(limit) for limit in limits)}]"


def _points(value: float | None) -> str:
    return MISSING if value is None else f"{value:+.1f}"


def _point_range(limits: Pair | None) -> str:
    return MISSING if limits is None else f"[{limits[0]:+.1f}, {limits[1]:+.1f}]"


def _told(answer: Answer, better: str, worse: str) -> Cell:
    return Cell({Answer.BETTER: better, Answer.WORSE: worse}.get(answer, ""), TONES.get(answer, Tone.PLAIN))
