"""Incidents: what went wrong, when, and what moved first."""

import math

from stabilimeter.present.plain_answer import moved, signal_in_words
from stabilimeter.present.report_parts import Block, Material, Section
from stabilimeter.present.seeds import seeds_named
from stabilimeter.present.table import Cell, Column, Table, Tone, row
from stabilimeter.present.tables import incidents as incident_table
from stabilimeter.present.wording import count, incident_in_words, number, printable
from stabilimeter.present.worst import worst_incidents

MAX_SEEDS = 20
MAX_MOVERS = 4


def incidents(material: Material) -> Section:
    """What moved first in each failed seed, and the gravest incidents of all seeds."""
    tables = (_first_movers(material), incident_table(material.named))
    blocks: tuple[Block, ...] = tuple(material.grouped(table) for table in tables if table is not None)
    return Section("Incidents", "What went wrong, when, and what moved first?", _answer(material), blocks)


def _answer(material: Material) -> str:
    runs = [run for _, group in material.named for run in group.runs]
    worst = worst_incidents([group for _, group in material.named])
    n_failed = len(material.failed)
    if not worst:
        failed = f"; yet {count(n_failed, 'seed')} failed, slowly rather than by an event" if n_failed else ""
        return f"No signal suddenly left its usual range{failed}."
    first = worst[0]
    where = next(label for label, group in material.named if group is first.group)
    of_group = f" of {where}" if len(material.named) > 1 else ""
    total, struck = sum(len(run.incidents) for run in runs), sum(bool(run.incidents) for run in runs)
    gravest = f"{printable(first.worst.key)} {incident_in_words(first.worst)} at step {first.worst.step}"
    of_seed = f"{seeds_named(first.struck, 3)}{of_group}"
    return f"{count(total, 'incident')} in {struck} of {count(len(runs), 'seed')}. The gravest: {gravest}, {of_seed}."


def _first_movers(material: Material) -> Table | None:
    labels = {group.label: label for label, group in material.named}
    ordered = [seed for _, group in material.named for seed in material.failed_in(group)]
    rows = []
    for seed in ordered[:MAX_SEEDS]:
        name = seeds_named([seed.run])
        for index, mover in enumerate(seed.movers[:MAX_MOVERS]):
            head = (labels[seed.group], name) if index == 0 else ("", "")
            when = "the start" if mover.from_start else f"step {mover.step}"
            expected = "healthy seeds" if seed.reference is not None else "expected"
            to = f" to {number(mover.value, 3)}" if math.isfinite(mover.value) else ""
            what = f"{signal_in_words(mover.key)} {moved(mover)}{to} ({expected}: {number(mover.healthy, 3)})"
            rows.append(row(*head, when, _lead(mover.step, seed.lost_at), what))
        if not seed.movers:
            rows.append(row(labels[seed.group], name, "", "", Cell(printable(seed.run.failure_reason or ""), Tone.BAD)))
    if not rows:
        return None
    n_more = len(ordered) - MAX_SEEDS
    if n_more > 0:
        rows.append(row("...", f"{n_more} more", "", "", "in the Stability tab"))
    heads = (Column("group"), Column("seed"), Column("from", numeric=True), Column("seed lost", numeric=True))
    caption = (
        "A signal is listed at the first step from which it stayed outside the range of the healthy seeds to the end. "
        "A seed is lost when its loss or primary metric does: what moved before was an early warning."
    )
    return Table("What moved first in each failed seed", (*heads, Column("what")), tuple(rows), caption)


def _lead(step: int, lost_at: int | None) -> str:
    """When the seed was lost, seen from a step."""
    if lost_at is None:
        return ""
    if step == lost_at:
        return "here"
    return f"{count(abs(lost_at - step), 'step')} {'later' if lost_at > step else 'before'}"
