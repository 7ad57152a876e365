"""The overview: what happened in one sentence, a row per group, a row per failed seed."""

from collections.abc import Mapping, Sequence
from typing import Any

from stabilimeter.analysis.first_movers import FailedSeed, Mover
from stabilimeter.analysis.roles import roles_in
from stabilimeter.analysis.summary import GroupSummary, RunSummary
from stabilimeter.present.metric_table import metric_tags
from stabilimeter.present.ranking import Named, named_groups
from stabilimeter.present.score_tables import COMPONENTS, marked_score
from stabilimeter.present.seeds import finished, seeds_in_words, seeds_named
from stabilimeter.present.wording import (
    better_when,
    count,
    interval,
    listed,
    mean_and_interval,
    number,
    points,
    printable,
)
from stabilimeter.records import keys
from stabilimeter.records.manifest import RunStatus
from stabilimeter.tensorboard_plugin.clock import has_clock
from stabilimeter.tensorboard_plugin.snapshot import Snapshot

MAX_NAMED = 3
UNFINISHED = {RunStatus.RUNNING.value: "running", RunStatus.CANCELLED.value: "cancelled"}


def answer(snapshot: Snapshot, arguments: Mapping[str, str]) -> dict[str, Any]:
    """Everything the overview shows, and the signals that other views can choose from."""
    summary = snapshot.summary
    named, common = named_groups(summary)
    short = {group.label: label for label, group in named}
    losses = {group.label: roles_in(group.runs).train_loss for group in snapshot.sweep.groups}
    return {
        "version": snapshot.version,
        "is_scored": snapshot.is_scored,
        "headline": _headline(snapshot, named),
        "common": common,
        "groups": [
            _group(label, group, losses[group.label], is_judged=group.label in snapshot.judged)
            for label, group in named
        ],
        "failed": [_failed(seed, short) for seed in snapshot.failed],
        "components": list(COMPONENTS.values()),
        "tags": _tags(snapshot),
        "has_time": any(has_clock(run) for group in snapshot.sweep.groups for run in group.runs),
        "vectors": sorted({key for group in snapshot.sweep.groups for run in group.runs for key in run.vector_keys()}),
        "notes": _notes(snapshot, named),
    }


def mover_in_words(mover: Mover, reference: str | None) -> dict[str, Any]:
    """A signal that went wrong, for the tab."""
    when = "from the start" if mover.from_start else f"from step {mover.step}"
    expected = "healthy seeds" if reference is not None else "expected"
    return {
        "key": printable(mover.key),
        "step": mover.step,
        "when": when,
        "size": f"{number(mover.value, 3)} ({expected}: {number(mover.healthy, 3)})",
    }


def seed_name(run: RunSummary) -> str:
    """How one run is called."""
    return seeds_named([run])


def why(run: RunSummary) -> str:
    """Why a run failed, else how it stands."""
    return printable(run.failure_reason or run.status)


def seed_state(run: RunSummary) -> str:
    """One of ``ok``, ``failed``, ``running``, ``cancelled``, ``copy``."""
    if run.copy_of is not None:
        return "copy"
    return UNFINISHED.get(run.status) or ("failed" if run.failed else "ok")


def _headline(snapshot: Snapshot, named: Sequence[Named]) -> list[dict[str, str]]:
    """What is known so far, in sentences with their tone."""
    sentences = []
    if snapshot.unreadable:
        text = f"{count(len(snapshot.unreadable), 'run')} could not be read: see the notes."
        sentences.append(("bad", text))
    if not snapshot.is_scored:
        n_runs = sum(group.n_runs for _, group in named)
        text = f"{count(n_runs, 'run')} in {count(len(named), 'group')}; "
        n_judged = len(snapshot.judged)
        text += f"{n_judged} of {len(named)} judged so far." if n_judged else "the scores are being computed."
        sentences.append(("plain", text))
    sentences += _outcome([pair for pair in named if pair[1].label in snapshot.judged])
    return [{"tone": tone, "text": text} for tone, text in sentences]


def _outcome(named: Sequence[Named]) -> list[tuple[str, str]]:
    broken = sorted((pair for pair in named if pair[1].n_failed), key=lambda pair: -pair[1].n_failed)
    whole = [pair for pair in named if not pair[1].n_failed]
    sentences = []
    if broken:
        counts = [f"{group.n_failed} of {count(len(finished(group)), 'seed')} of {label}" for label, group in broken]
        sentences.append(("bad", f"Failed: {listed(counts, MAX_NAMED)}."))
    if whole and any(finished(group) for _, group in whole):
        names = listed([label for label, _ in whole], MAX_NAMED)
        sentences.append(("good", f"No seed failed: {names}."))
    scored = [pair for pair in named if pair[1].stability.score is not None]
    if len(scored) > 1:
        best, least = scored[0], min(scored, key=lambda pair: pair[1].stability.score or 0.0)
        if least is not best:  # it can be, where the others lack a part of their score
            text = (
                f"Most stable: {best[0]}, {marked_score(best[1])} of 100. Least: {least[0]}, {marked_score(least[1])}."
            )
            sentences.append(("plain", text))
    n_running = sum(group.n_running for _, group in named)
    if n_running:
        sentences.append(("plain", f"{count(n_running, 'seed')} still running: figures will change."))
    return sentences


def _group(label: str, group: GroupSummary, loss: str | None, *, is_judged: bool) -> dict[str, Any]:
    stability = group.stability
    tag = group.primary_metric
    metric = group.metrics.get(tag) if tag is not None else None
    survivors = group.metrics_ok.get(tag) if tag is not None else None
    return {
        "label": group.label,
        "short": label,
        "loss": loss,
        "score": stability.score,
        "score_text": marked_score(group),
        "low": stability.low,
        "high": stability.high,
        "interval_text": interval(stability.low, stability.high),
        "reason": stability.reason,
        "seeds": [
            {
                "path": run.path,
                "name": seed_name(run),
                "state": seed_state(run) if is_judged else "pending",
                "why": why(run),
            }
            for run in group.runs
        ],
        "seeds_text": seeds_in_words(group) if is_judged else count(group.n_runs, "seed"),
        "n_failed": group.n_failed,
        "primary": tag,
        "primary_head": printable(tag or ""),
        "primary_better": better_when(None if metric is None else metric.mode),
        "primary_text": "no value" if metric is None or not metric.n else mean_and_interval(metric),
        "primary_value": None if metric is None else metric.mean,
        "spread": None if survivors is None else survivors.sd,
        "spread_text": number(None if survivors is None else survivors.sd, 2),
        "n_incidents": sum(len(run.incidents) for run in group.runs) if is_judged else None,
        "points_lost": [
            {"name": words, "value": stability.points_lost.get(key, 0.0), "text": _lost(group, key)}
            for key, words in COMPONENTS.items()
        ],
    }


def _lost(group: GroupSummary, component: str) -> str:
    value = group.stability.points_lost.get(component, 0.0)
    if component in group.stability.not_measured and value == 0:
        return "not measured"
    return points(value, 1)


def _failed(seed: FailedSeed, short: Mapping[str, str]) -> dict[str, Any]:
    against = None
    if seed.reference is not None:
        where = "its group" if seed.reference == seed.group else short[seed.reference]
        against = f"{count(seed.n_healthy, 'healthy seed')} of {where}"
    return {
        "group": seed.group,
        "short": short[seed.group],
        "path": seed.run.path,
        "name": seed_name(seed.run),
        "why": printable(seed.run.failure_reason or ""),
        "lost_at": seed.lost_at,
        "movers": [mover_in_words(mover, seed.reference) for mover in seed.movers],
        "against": against,
    }


def _tags(snapshot: Snapshot) -> list[str]:
    """Every series of the sweep: those a reader looks at first, then the rest by name."""
    runs = [run for group in snapshot.sweep.groups for run in group.runs]
    known = {tag for run in runs for tag in run}
    losses = [roles_in(group.runs).train_loss for group in snapshot.sweep.groups]
    signals = (keys.GRAD_NORM, "grad_norm", keys.UPDATE_RATIO, keys.UPDATE_NORM, keys.OPTIM_LR)
    first = [*losses, *metric_tags(snapshot.summary), *signals, *sorted(known)]
    return [tag for tag in dict.fromkeys(first) if tag in known]


def _notes(snapshot: Snapshot, named: Sequence[Named]) -> list[dict[str, str]]:
    notes = [{"group": "all", "text": printable(note)} for note in (*snapshot.unreadable, *snapshot.summary.notes)]
    for label, group in named:
        reasons = [group.stability.reason] if group.stability.reason else []
        notes += [{"group": label, "text": printable(note)} for note in dict.fromkeys([*reasons, *group.notes])]
    return notes
