"""What moved first in a seed that failed, and when it was lost."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stabilimeter.analysis.roles import Roles, roles_in
from stabilimeter.analysis.summary import GroupSummary, RunSummary, Summary
from stabilimeter.records import keys
from stabilimeter.records.directions import mode_of
from stabilimeter.records.run import Run, Series
from stabilimeter.records.sweep import RunGroup, Sweep
from stabilimeter.stats.alignment import aligned
from stabilimeter.stats.departure import Side, departure
from stabilimeter.stats.incident import Kind

NORMS = (keys.GRAD_NORM, keys.UPDATE_RATIO, keys.UPDATE_NORM)
"""Compared on a log scale: positive by nature."""
LASTING = (Kind.NONFINITE, Kind.DIVERGENCE, Kind.COLLAPSE, Kind.SHIFT)


@dataclass(frozen=True)
class Mover:
    """A signal that went wrong for good.

    Attributes:
        key: The signal.
        step: First step outside the range of the healthy seeds; of the incident, if there are none.
        value: Its value at that step.
        healthy: What was expected there: the median of the healthy seeds, or the baseline of the incident.
        from_start: It was outside from its first point on.
    """

    key: str
    step: int
    value: float
    healthy: float
    from_start: bool


@dataclass(frozen=True)
class FailedSeed:
    """One failed seed and how it went.

    Attributes:
        group: Label of its group.
        run: Its summary.
        lost_at: Step from which its loss or primary metric was non-finite or out of range for good, else the last one
            if the run ended early; None if neither is known.
        movers: Signals in the order in which they went wrong.
        reference: Label of the group of the healthy seeds that it was compared with; None if there are none, and
            ``movers`` are then its own lasting incidents.
        n_healthy: How many of them there are.
    """

    group: str
    run: RunSummary
    lost_at: int | None
    movers: tuple[Mover, ...]
    reference: str | None
    n_healthy: int


def failed_seeds(sweep: Sweep, summary: Summary) -> tuple[FailedSeed, ...]:
    """Every failed seed, compared with the healthy seeds that `healthy_seeds` finds.

    Args:
        sweep: What was summarised.
        summary: Its summary.
    """
    found = []
    for group, own in zip(sweep.groups, summary.groups, strict=True):
        if not own.n_failed:
            continue
        reference, healthy = healthy_seeds(sweep, summary, own.label)
        roles = roles_in(group.runs)
        results = {*roles.losses, own.primary_metric}
        for run, about in zip(group.runs, own.runs, strict=True):
            if about.failed:
                movers = movers_of(run, healthy, _watched(roles, own)) or _lasting_incidents(about)
                lost_at = _lost_at(about, movers, results)
                found.append(FailedSeed(own.label, about, lost_at, movers, reference, len(healthy)))
    return tuple(found)


def healthy_seeds(sweep: Sweep, summary: Summary, label: str) -> tuple[str | None, list[Run]]:
    """The finished seeds of a group that did not fail, else those of the most stable comparable group.

    Another group serves only if both are records of ours with the same primary metric: folders of foreign logs may hold
    anything side by side.

    Returns:
        Label of the group that they belong to, and the seeds; None and nothing if there are none.
    """
    pairs = list(zip(sweep.groups, summary.groups, strict=True))
    group, own = next(pair for pair in pairs if pair[1].label == label)
    survivors = _survivors(group, own)
    if survivors:
        return label, survivors
    if own.primary_metric is None or not _is_ours(group):
        return None, []
    others = [
        (other.stability.score or 0.0, other.label, runs)
        for group, other in pairs
        if _is_ours(group) and other.primary_metric == own.primary_metric and (runs := _survivors(group, other))
    ]
    if not others:
        return None, []
    _, label, survivors = max(others, key=lambda other: other[0])
    return label, survivors


def layers_that_moved(run: Run, healthy: Sequence[Run], key: str) -> tuple[Mover, ...]:
    """The elements of a vector signal that left the range of healthy runs for good, first things first."""
    steps, values, names = run.vectors(key)
    others = [other.vectors(key) for other in healthy if key in other.vector_keys()]
    movers = []
    for index, name in enumerate(names):
        columns = [Series(its, values[:, index]) for its, values, own in others if own == names]
        mover = _mover(name, Series(steps, values[:, index]), columns, Side.BOTH, logarithmic=True) if columns else None
        if mover is not None:
            movers.append(mover)
    return tuple(sorted(movers, key=lambda mover: mover.step))


def movers_of(run: Run, healthy: Sequence[Run], sides: Mapping[str, Side]) -> tuple[Mover, ...]:
    """The signals that left the range of healthy runs for good, first things first.

    Args:
        run: The run that failed.
        healthy: Runs that did not.
        sides: The signals to look at, and on which side of the range they are bad.
    """
    movers = []
    for tag, side in sides.items():
        others = [other[tag] for other in healthy if tag in other and other[tag].steps.size]
        if tag not in run or not others:
            continue
        mover = _mover(tag, run[tag], others, side, logarithmic=tag in NORMS)
        if mover is not None:
            movers.append(mover)
    return tuple(sorted(movers, key=lambda mover: mover.step))


def _mover(tag: str, own: Series, others: Sequence[Series], side: Side, *, logarithmic: bool) -> Mover | None:
    together = aligned([own.steps, *(one.steps for one in others)], [own.values, *(one.values for one in others)])
    if own.steps.size == 0:
        return None
    span = (together.steps >= own.steps[0]) & (together.steps <= own.steps[-1])
    steps, values = together.steps[span], together.values[:, span]
    compared = values
    if logarithmic:
        with np.errstate(divide="ignore", invalid="ignore"):
            compared = np.log(values)
    at = departure(compared[0], compared[1:], side=side)
    if at is None:
        return None
    others_there = values[1:, at][np.isfinite(values[1:, at])]
    return Mover(tag, int(steps[at]), float(values[0, at]), float(np.median(others_there)), at == 0)


def _lasting_incidents(run: RunSummary) -> tuple[Mover, ...]:
    """The first incident of each signal that was not over after a few points."""
    first: dict[str, Mover] = {}
    for incident in run.incidents:
        if incident.kind in LASTING and incident.key not in first:
            first[incident.key] = Mover(incident.key, incident.step, incident.value, incident.baseline, False)
    return tuple(first.values())


def _is_ours(group: RunGroup) -> bool:
    return all(run.manifest is not None for run in group.runs)


def _watched(roles: Roles, group: GroupSummary) -> dict[str, Side]:
    """The signals to look at: norms on either side of the healthy range, results where they are worse."""
    norms = {tag: Side.BOTH for tag in (roles.grad_norm, *NORMS) if tag is not None}
    modes: dict[str, str | None] = {} if roles.train_loss is None else {roles.train_loss: "min"}
    modes.update({tag: mode_of(tag) for tag in roles.validation_metrics})
    primary = group.primary_metric
    if primary is not None and primary in group.metrics:
        modes[primary] = group.metrics[primary].mode
    worse = {"min": Side.ABOVE, "max": Side.BELOW}
    return {**norms, **{tag: worse[mode] for tag, mode in modes.items() if mode is not None}}


def _survivors(group: RunGroup, summary: GroupSummary) -> list[Run]:
    unfinished = ("running", "cancelled")
    return [
        run
        for run, own in zip(group.runs, summary.runs, strict=True)
        if not own.failed and own.copy_of is None and own.status not in unfinished
    ]


def _lost_at(run: RunSummary, movers: Sequence[Mover], results: set[str | None]) -> int | None:
    last = run.last_step if run.last_step is not None else math.inf
    broken = [
        incident.step
        for incident in run.incidents
        if incident.kind in (Kind.NONFINITE, Kind.DIVERGENCE) and incident.key in results and incident.end_step >= last
    ]
    steps = broken + [mover.step for mover in movers if mover.key in results]
    if steps:
        return min(steps)
    return run.last_step if run.status not in ("completed", "unknown") else None
