"""A summary on the terminal: one sentence, one table, then why, and what to do next."""

import io
import os
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from stabilimeter.analysis.summary import GroupSummary, Summary
from stabilimeter.present.curve_table import curves
from stabilimeter.present.gate import CheckResult, GateResult, Verdict
from stabilimeter.present.labels import short_labels
from stabilimeter.present.ranking import Named, named_groups
from stabilimeter.present.score_tables import marked_score
from stabilimeter.present.sparkline import can_draw
from stabilimeter.present.table import Cell, Table, Tone
from stabilimeter.present.tables import sections
from stabilimeter.present.wording import count, number, points, printable
from stabilimeter.records.discovery import SUMMARY_DIR

VERDICT_STYLES = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.INCONCLUSIVE: "yellow"}
STYLES = {Tone.PLAIN: "", Tone.STRONG: "bold", Tone.FAINT: "dim", Tone.GOOD: "green", Tone.BAD: "red"}
MAX_WIDTH = 100
MAX_LABEL = 30
TENSORBOARD_TICKS = 40
"""With more runs than this TensorBoard starts with none of them ticked, and so with empty charts."""


def render(summary: Summary, folder: Path, tensorboard_dir: Path | None = None) -> RenderableType:
    """The summary as something ``rich`` can print.

    Args:
        summary: What to show; nothing is computed from it but the order of rows.
        folder: The folder that was summarised, for the commands at the end.
        tensorboard_dir: The folder below which the bands across seeds were written; None if they were not.
    """
    groups, common = named_groups(summary)
    parts: list[RenderableType] = [Text(), _headline(groups, common)]
    scores, *others = sections(summary)
    parts += [Text(), draw(scores)]
    if (lines := curves(groups)) is not None:
        parts.append(_WhereBlocksCanBeDrawn(Group(Text(), draw(lines))))
    for table in others:
        parts += [Text(), draw(table)]
    if tensorboard_dir is not None and _n_tensorboard_runs(summary) > TENSORBOARD_TICKS:
        tensorboard_dir = tensorboard_dir / SUMMARY_DIR
    return Group(*parts, Text(), _next(folder, tensorboard_dir), Text())


class _WhereBlocksCanBeDrawn:
    """Something with block characters, left out where the stream cannot encode them."""

    def __init__(self, content: RenderableType) -> None:
        self.content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if can_draw(options.encoding):
            yield self.content


def _n_tensorboard_runs(summary: Summary) -> int:
    return 1 + sum(1 + group.n_runs for group in summary.groups)


def show(renderable: RenderableType, file: TextIO) -> None:
    """Print: in colour on a terminal that has it, plain into a pipe; commands are never cut."""
    console = Console(file=file, highlight=False)
    if console.is_terminal:
        console.print(renderable, width=min(console.width, MAX_WIDTH), crop=False)
    else:
        file.write(to_text(renderable, int(os.environ.get("COLUMNS") or MAX_WIDTH), console.encoding))


def to_text(renderable: RenderableType, width: int = MAX_WIDTH, encoding: str = "utf-8") -> str:
    """What ``show`` would print into a pipe of ``width`` columns that takes text in ``encoding``."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace", newline="")
    Console(file=file, highlight=False, width=width, color_system=None).print(renderable, crop=False)
    file.seek(0)
    return "\n".join(line.rstrip() for line in file.read().splitlines()) + "\n"


def draw(table: Table) -> RenderableType:
    """A table for the terminal, under its title and indented by two columns."""
    drawn = RichTable(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", show_header=table.heads_needed
    )
    for index, column in enumerate(table.columns):
        drawn.add_column(
            Text(column.name),
            justify="right" if column.numeric else "left",
            no_wrap=column.numeric,
            overflow="fold",
            max_width=MAX_LABEL if index == 0 and len(table.columns) > 1 else None,
        )
    for cells in table.rows:
        drawn.add_row(*map(_text, cells))
    lines: list[RenderableType] = [Text(table.title, style="bold")] if table.title else []
    lines.append(Padding(drawn, (0, 0, 0, 2)))
    if table.caption:
        lines.append(Padding(Text(table.caption, style="dim"), (0, 0, 0, 2)))
    return Group(*lines)


def _text(cell: Cell) -> Text:
    return Text(cell.text, style=STYLES[cell.tone])


def _headline(groups: Sequence[Named], common: str) -> Text:
    """One or two sentences for a reader in a hurry."""
    n_runs = sum(group.n_runs for _, group in groups)
    n_failed = sum(group.n_failed for _, group in groups)
    n_running = sum(group.n_running for _, group in groups)
    text = Text(f"{count(len(groups), 'group')}, {count(n_runs, 'seed')}: ")
    if n_failed:
        text.append(f"{n_failed} failed", style="bold red")
    else:
        text.append("none failed", style="bold green")
    if n_running:
        text.append(f", {n_running} still running, so figures will change", style="yellow")
    text.append(". ")
    scored = [named for named in groups if named[1].stability.score is not None]
    if not scored:
        text.append("No stability score; the reason is under Notes.", style="yellow")
    elif len(groups) == 1:
        text.append("Stability ").append(_score_in_words(groups[0][1]), style="bold").append(".")
    else:
        lowest = min(scored, key=lambda named: named[1].stability.score or 0.0)
        for word, (label, group) in {"Most stable": scored[0], "Least": lowest}.items():
            if word == "Most stable" or lowest is not scored[0]:
                text.append(f"{word}: {label}, ").append(_score_in_words(group), style="bold").append(". ")
    if common:
        text.append(f"\nAll groups: {common}", style="dim")
    return text


def _score_in_words(group: GroupSummary) -> str:
    stability = group.stability
    words = f"{marked_score(group)} of 100"
    if stability.low is None or stability.high is None:
        return f"{words} (no interval)"
    return f"{words} (95 % interval {points(stability.low)} to {points(stability.high)})"


def render_gate(result: GateResult) -> RenderableType:
    """One line per check under each group, however long, then the answer."""
    groups = list(dict.fromkeys(check.group for check in result.results))
    checks = [printable(f"{check.check.score} {check.check.bound}") for check in result.results]
    widths = max(map(len, checks)), max(len(_found(check)) for check in result.results)
    lines: list[RenderableType] = []
    for group, label in zip(groups, short_labels(groups)[0], strict=True):
        if len(groups) > 1:
            lines.append(_unbroken(label, style="bold"))
        for name, check in zip(checks, result.results, strict=True):
            if check.group == group:
                line = _unbroken(f"  {check.verdict.value:<12}  ", style=VERDICT_STYLES[check.verdict])
                line.append(f"{name:<{widths[0]}}  {_found(check):<{widths[1]}}", style="default")
                reason = "" if check.verdict is Verdict.PASS else f"  {printable(check.reason)}"
                lines.append(line.append(reason, style="default"))
    verdicts = Counter(check.verdict for check in result.results)
    counts = ", ".join(f"{verdicts[verdict]} {verdict.value}" for verdict in Verdict if verdicts[verdict])
    answer = Text("gate: ").append(result.verdict.value, style=f"bold {VERDICT_STYLES[result.verdict]}")
    changed = result.half_points.changes
    told = [_unbroken(f"scores by conventions of your own: {', '.join(changed)}")] if changed else []
    return Group(*lines, *told, answer.append(f" ({counts})"))


def _found(check: CheckResult) -> str:
    if check.low is None or check.high is None:
        return number(check.value)
    return f"{number(check.value)} [{number(check.low, 3)}, {number(check.high, 3)}]"


def _unbroken(text: str, style: str = "") -> Text:
    """A line that is never wrapped or cut, so that it can be copied."""
    return Text(text, style=style, no_wrap=True, overflow="ignore")


def _next(folder: Path, tensorboard_dir: Path | None) -> RenderableType:
    shown = shlex.quote(str(folder))
    bands = f"stabilimeter summarize {shown} --tensorboard OUT"
    if tensorboard_dir is not None:
        bands = f"tensorboard --logdir {shlex.quote(str(tensorboard_dir))}"
    commands = {"curves and bands": bands, "pass or fail": f"stabilimeter gate {shown} --checks FILE.yaml"}
    lines = [_unbroken(f"  {why:<18}{command}") for why, command in commands.items()]
    return Group(Text("Next", style="bold"), *lines)
