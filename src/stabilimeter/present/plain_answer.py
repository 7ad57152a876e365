"""What happened to the seeds of a group, in words for somebody who reads nothing else."""

import math
from collections.abc import Sequence

from stabilimeter.analysis.first_movers import FailedSeed, Mover
from stabilimeter.analysis.roles import GRAD_NORM_NAMES, is_loss
from stabilimeter.analysis.summary import GroupSummary
from stabilimeter.present.report_parts import Material, Prose
from stabilimeter.present.score_tables import COMPONENTS, marked_score
from stabilimeter.present.seeds import finished, seeds_named
from stabilimeter.present.table import Tone
from stabilimeter.present.wording import count, points, printable
from stabilimeter.records import keys
from stabilimeter.records.manifest import RunStatus
from stabilimeter.stats.incident import Kind

MAX_GROUPS = 12
MAX_SEEDS = 3
SIGNALS = {
    **dict.fromkeys(GRAD_NORM_NAMES, "gradient norm"),
    keys.LOSS: "training loss",
    keys.UPDATE_RATIO: "update size relative to its weights",
    keys.UPDATE_NORM: "update size",
}
"""How the signals are called that everybody has."""
ENDS = {
    "collapsed": "got worse{from_step} and did not recover",
    "no_progress": "learned nothing",
    "exception": "crashed{at_step}",
    "died": "died{at_step} without a word",
    "incomplete": "ended too early{at_step}",
    "target_missed": "did not reach the target",
}
"""What the words mean with which a failure reason starts."""


def answer(material: Material) -> tuple[Prose, ...]:
    """One sentence or two per group, those with the most failed seeds first."""
    several = len(material.named) > 1
    ordered = sorted(material.named, key=lambda named: -named[1].n_failed)
    found = []
    for label, group in ordered[:MAX_GROUPS]:
        text = group_answer(group, material.failed_in(group))
        tone = Tone.BAD if group.n_failed else Tone.PLAIN
        found.append(Prose(f"{label}: {text}" if several else text[0].upper() + text[1:], tone))
    if len(ordered) > MAX_GROUPS:
        found.append(Prose(f"{count(len(ordered) - MAX_GROUPS, 'more group')} below."))
    return tuple(found)


def group_answer(group: GroupSummary, failed: Sequence[FailedSeed]) -> str:
    """How many seeds trained, which did not and how that began; the score of a group in which all did."""
    n_finished = len(finished(group))
    n_trained = n_finished - group.n_failed
    parts = []
    if not n_finished:
        parts.append("no seed has finished yet")
    elif group.n_failed:
        parts.append(f"{n_trained or 'none'} of {count(n_finished, 'seed')} trained")
        parts += [seed_in_words(seed) for seed in failed[:MAX_SEEDS]]
        if len(failed) > MAX_SEEDS:
            parts.append(f"{len(failed) - MAX_SEEDS} more failed")
    else:
        parts.append("the only seed trained" if n_finished == 1 else f"all {n_finished} seeds trained")
        parts += _score(group)
    if group.n_running:
        parts.append(f"{group.n_running} still running, so this may change")
    return f"{'; '.join(parts)}."


def seed_in_words(seed: FailedSeed) -> str:
    """How a seed failed, when, and what moved before it did.

    For example ``seed 3 diverged at step 310, its gradient norm rose 14 steps before``.
    """
    before = _early_mover(seed)
    text = f"{seeds_named([seed.run])} {_end(seed)}"
    return text if before is None else f"{text}, its {before}"


def signal_in_words(key: str) -> str:
    """A plain name for a signal that everybody has, the own name of any other."""
    return SIGNALS.get(key, printable(key))


def moved(mover: Mover) -> str:
    """Which way a signal went."""
    if not math.isfinite(mover.value):
        return "became NaN" if math.isnan(mover.value) else "became infinite"
    return "fell" if mover.value < mover.healthy else "rose"


def _end(seed: FailedSeed) -> str:
    word = (seed.run.failure_reason or "").partition(":")[0]
    step = seed.lost_at
    grave = (Kind.DIVERGENCE, Kind.NONFINITE)
    there = {incident.kind for incident in seed.run.incidents if incident.step == step and incident.kind in grave}
    at_step, from_step = ("", "") if step is None else (f" at step {step}", f" from step {step} on")
    if Kind.NONFINITE in there or (word == "nonfinite" and step is None):
        return f"became NaN or infinite{at_step}"
    if word == "nonfinite" or Kind.DIVERGENCE in there or seed.run.status == RunStatus.DIVERGED.value:
        return f"diverged{at_step}"
    return ENDS.get(word, "failed{at_step}").format(at_step=at_step, from_step=from_step)


def _early_mover(seed: FailedSeed) -> str | None:
    """What was seen before the loss or a result showed it, best the latest warning that had a beginning."""
    lost_at = seed.lost_at
    if lost_at is None or seed.reference is None:
        return None
    early = [mover for mover in seed.movers if mover.step < lost_at and not is_loss(mover.key)]
    began = [mover for mover in early if not mover.from_start]
    if began:
        lead = count(lost_at - began[0].step, "step")
        return f"{signal_in_words(began[0].key)} {moved(began[0])} {lead} before"
    if early:
        size = "too small" if moved(early[0]) == "fell" else "too large"
        return f"{signal_in_words(early[0].key)} was {size} from the start"
    return None


def _score(group: GroupSummary) -> list[str]:
    stability = group.stability
    if stability.score is None:
        return [f"no stability score: {printable(stability.reason)}"] if stability.reason else []
    text = f"stability {marked_score(group)} of 100"
    if stability.low is not None and stability.high is not None:
        text += f" (95 % interval {points(stability.low)} to {points(stability.high)})"
    worst = max(COMPONENTS, key=lambda name: stability.points_lost.get(name, 0.0))
    lost = stability.points_lost.get(worst, 0.0)
    return [text, f"most was lost to {COMPONENTS[worst]} ({points(lost, 1)} points)"] if lost >= 1 else [text]
