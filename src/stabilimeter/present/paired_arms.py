"""Baseline against candidate, seed by seed: the answer, why it stopped, and the comparison of all runs."""

import math

from rich.console import Group, RenderableType
from rich.text import Text

from stabilimeter.analysis.comparison import Answer
from stabilimeter.analysis.paired_arms import ArmsReport, PairedAnswer, Stop
from stabilimeter.present.comparison import STYLES, main_table, notes_table
from stabilimeter.present.comparison_sentence import p_value, signed
from stabilimeter.present.table import Cell, Column, Table, Tone, row
from stabilimeter.present.terminal import draw
from stabilimeter.present.wording import count, number, printable
from stabilimeter.stats.sequential import ALPHA

FAILED = "failed"


def progress_sentence(answer: PairedAnswer) -> str:
    """How the test stands, in one line."""
    look = answer.looks[-1]
    at = f"after {count(len(answer.pairs), 'pair')} of at most {answer.n_max}"
    if answer.stop is not None:
        return f"{at}: {stop_in_words(answer)}"
    limit = "too few to decide" if math.isinf(look.limit) else f"{number(look.limit, 2)} either way would decide"
    return f"{at}: mean difference {_shown(answer, look.mean)}, {limit}"


def stop_in_words(answer: PairedAnswer) -> str:
    """Why no more pairs are trained."""
    at = count(answer.settled_at or len(answer.pairs), "pair")
    if answer.stop is Stop.DIFFERENT:
        look = answer.looks[-1]
        return f"the difference is clear after {at} (p = {p_value(look.p)}, {p_value(look.allowed)} would do by then)"
    if answer.stop is Stop.EQUIVALENT:
        return f"a difference of {number(answer.margin, 2)} either way is ruled out after {at}"
    if answer.stop is Stop.ALL_PAIRS:
        return f"all {at} are done, and they do not tell the two apart"
    return "not all runs have finished"


def answer_sentence(report: ArmsReport) -> str:
    """The answer for a reader who reads nothing else."""
    answer, metric = report.answer, printable(report.answer.metric)
    mean = _shown(answer, answer.looks[-1].mean)
    said = f"{metric} differs by {mean} on average over {count(answer.looks[-1].n, 'pair')} of seeds"
    if report.verdict is Answer.WORSE and answer.by_metric is not Answer.WORSE and report.comparison is not None:
        k, n = report.comparison.failures.k, report.comparison.failures.n
        said = f"{k[1]} of {n[1]} seeds of the candidate failed, {k[0]} of {n[0]} of the baseline; {said}"
    return f"{report.verdict.value.capitalize()}: {said}; {stop_in_words(answer)}."


def pair_table(answer: PairedAnswer) -> Table:
    """One row per seed."""
    rows = []
    for pair in answer.pairs:
        shown = [Cell(FAILED, Tone.BAD) if value is None else Cell(number(value)) for value in pair.values]
        tone = Tone.BAD if pair.worsening > 0 else Tone.GOOD if pair.worsening < 0 else Tone.PLAIN
        rows.append(row(str(pair.seed), *shown, Cell(_shown(answer, pair.worsening), tone)))
    columns = tuple(Column(name, numeric=True) for name in ("seed", "baseline", "candidate", "change"))
    return Table(f"{printable(answer.metric)} by seed", columns, tuple(rows))


def render_arms(report: ArmsReport) -> RenderableType:
    """The report for the terminal."""
    verdict, _, why = answer_sentence(report).partition(":")
    parts: list[RenderableType] = [
        Text(),
        Text(verdict, style=f"bold {STYLES[report.verdict]}").append(f":{why}", "none"),
        Text(),
        draw(pair_table(report.answer)),
    ]
    if report.comparison is None:
        return Group(*parts, Text(), Text(f"No comparison of all runs: {report.refused}", "yellow"))
    parts += [Text(), draw(main_table(report.comparison))]
    notes = notes_table(report.comparison)
    if notes is not None:
        parts += [Text(), draw(notes)]
    looks = (
        "p and interval of the table are those of a fixed number of seeds and say too much after "
        f"{count(len(report.answer.looks), 'look')}; the answer above allows for the looks: a chance of "
        f"{100 * ALPHA:g} % to see a difference where there is none."
    )
    return Group(*parts, Text(looks, style="dim"))


def _shown(answer: PairedAnswer, worsening: float) -> str:
    """A worsening as the change of the metric."""
    return signed(worsening if answer.mode == "min" else -worsening)
