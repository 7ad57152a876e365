"""A comparison on the terminal and as JSON: the sentence, one table, what these seeds can show at all."""

from rich.console import Group, RenderableType
from rich.text import Text

from stabilimeter.analysis.comparison import Answer, Comparison, Margin, MetricComparison, Pair, SpreadComparison
from stabilimeter.present.comparison_sentence import decisive_p, interval, means_in_words, p_value, sentence, signed
from stabilimeter.present.labels import short_labels
from stabilimeter.present.score_tables import COMPONENTS
from stabilimeter.present.table import Cell, Column, Table, Tone, row
from stabilimeter.present.terminal import draw
from stabilimeter.present.wording import MISSING, better_when, number, points, printable
from stabilimeter.records import strict_json

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
    labels, _ = short_labels(comparison.labels)
    parts: list[RenderableType] = [
        Text(verdict, style=f"bold {STYLES[comparison.verdict]}").append(f":{why}", "none"),
        Text(f"baseline: {labels[0]}; candidate: {labels[1]}", style="dim"),
    ]
    tables = [main_table(comparison), *(reach(tag, metric) for tag, metric in comparison.deciding.items())]
    notes = notes_table(comparison)
    for table in [*tables, *([notes] if notes is not None else [])]:
        parts += [Text(), draw(table)]
    return Group(Text(), *parts, Text())


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


def _metric_row(tag: str, metric: MetricComparison, p: float) -> tuple[Cell, ...]:
    cells = [printable(tag), *means_in_words(metric)]
    cells += [signed(metric.difference), interval(metric.ci), p_value(p)]
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


def _margin(metric: MetricComparison) -> str:
    if metric.margin is None:
        return "none: the baseline has no spread over seeds, so give one with --margin"
    where = " (the baseline's SD over seeds)" if metric.margin_from is Margin.SEED_SD else " (given)"
    return f"{number(metric.margin, 2)}{where}"


def _points(value: float | None) -> str:
    return MISSING if value is None else f"{value:+.1f}"


def _point_range(limits: Pair | None) -> str:
    return MISSING if limits is None else f"[{limits[0]:+.1f}, {limits[1]:+.1f}]"


def _told(answer: Answer, better: str, worse: str) -> Cell:
    return Cell({Answer.BETTER: better, Answer.WORSE: worse}.get(answer, ""), TONES.get(answer, Tone.PLAIN))
