"""Incidents of each seed, which of them are shared by several seeds, and how many are charged."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stabilimeter.analysis.evidence import EMPTY, Evidence, SeedCurve, series_of
from stabilimeter.records import keys
from stabilimeter.records.directions import mode_of
from stabilimeter.records.manifest import RunStatus
from stabilimeter.records.run import Run
from stabilimeter.stats.alignment import OnAxis, common_axis
from stabilimeter.stats.common_outliers import MIN_SEEDS, common_outliers
from stabilimeter.stats.detection import detect
from stabilimeter.stats.incident import Incident, Kind
from stabilimeter.stats.rate_jump import RATE_JUMP, jump_behind, rate_jumps
from stabilimeter.stats.shared import shared_steps

NEVER_SHARED = frozenset({Kind.NONFINITE, Kind.DIVERGENCE, Kind.COLLAPSE})
WATCHED = frozenset({keys.LOSS, keys.GRAD_NORM})
RATE_NAMES = ("lr", "learning_rate")
"""What others call a recorded learning rate, after the last slash."""

CLOSED = frozenset({RunStatus.COMPLETED, RunStatus.STOPPED, RunStatus.DIVERGED, RunStatus.FAILED})


def incidents_of(seed: Evidence) -> tuple[Incident, ...]:
    """Incidents of one seed in order of steps.

    Detected in the training loss, the gradient norm and every validation metric whose direction is known; together with
    what our own monitor recorded while the run went on. Where both saw the same incident, the recorded one counts,
    because it carries more evidence (layers, learning rate, action taken). A jump of a recorded learning rate just
    before an incident is named in its evidence. What the monitor watched to the end of the run is not looked at again:
    it is the same rule. As there, a loss that the monitor recorded is judged beside the gradient norm at the same
    steps; one of a foreign log is judged alone, because on healthy ones the norm beside it raised false alarms
    (docs/detection.md).
    """
    run, roles, primary = seed.run, seed.roles, seed.primary
    found = _detected(run, roles.train_loss, "min", beside=keys.GRAD_NORM if roles.train_loss == keys.LOSS else None)
    found += _detected(run, roles.grad_norm, "min", positive=True)
    for tag in dict.fromkeys((primary.tag, *roles.validation_metrics)):
        mode = primary.mode if tag == primary.tag else mode_of(tag or "")
        found += _detected(run, tag, mode)
    unrecorded = [
        _with_rate_jump(run, incident)
        for incident in found
        if not any(_same(incident, known) for known in run.incidents)
    ]
    return tuple(sorted([*run.incidents, *unrecorded], key=lambda incident: (incident.step, incident.key)))


def with_shared_marked(seeds: Sequence[Evidence]) -> list[Evidence]:
    """The same seeds with shared incidents marked and loss-spike events charged.

    Every incident of the training loss is one event, whatever its kind. Incidents of the gradient norm and of
    evaluations are reported, not charged. A shared event is charged once to the group: in equal parts to the seeds
    that have it. What only all seeds together show is an incident of each of them, too: see `common_outliers`.
    """
    seeds = _with_common(seeds)
    tags = sorted({incident.key for seed in seeds for incident in seed.incidents})
    shared = {tag: _shared(seeds, tag) for tag in tags}
    marked = [
        replace(seed, incidents=tuple(replace(i, shared=_is_shared(i, shared[i.key])) for i in seed.incidents))
        for seed in seeds
    ]
    seeds_with: dict[int, int] = {}
    for seed in marked:
        for step in {i.step for i in seed.incidents if i.shared and i.key == seed.roles.train_loss}:
            seeds_with[step] = seeds_with.get(step, 0) + 1
    return [
        replace(
            seed,
            charged_events=float(
                sum(
                    1 / seeds_with[incident.step] if incident.shared else 1.0
                    for incident in seed.incidents
                    if incident.key == seed.roles.train_loss
                )
            ),
        )
        for seed in marked
    ]


def _with_common(seeds: Sequence[Evidence]) -> Sequence[Evidence]:
    """The same seeds with a spike where all of them together stand out, if their own was not noticed."""
    tag = seeds[0].roles.train_loss if seeds else None
    there = [k for k, seed in enumerate(seeds) if tag is not None and tag in seed.run and seed.run.steps(tag).size]
    if tag is None or len(there) < MIN_SEEDS:
        return seeds
    curves = [SeedCurve(seeds[k].run, tag) for k in there]
    axis = common_axis(curves)
    more: dict[int, list[Incident]] = {k: [] for k in there}
    for outlier in common_outliers(OnAxis(axis, curves)) if axis.exact else []:
        step = int(axis.steps[outlier.position])
        for row, k in enumerate(there):
            value = float(outlier.values[row])
            known = any(i.key == tag and i.step <= step <= i.end_step for i in seeds[k].incidents)
            if np.isfinite(value) and not known:
                centre, scale = float(outlier.centre[row]), float(outlier.scale[row])
                evidence = {"found": "in all seeds together"}
                more[k].append(Incident(Kind.SPIKE, step, step, value, centre, scale, tag, evidence=evidence))
    return [
        replace(seed, incidents=tuple(sorted([*seed.incidents, *more[k]], key=lambda i: (i.step, i.key))))
        if more.get(k)
        else seed
        for k, seed in enumerate(seeds)
    ]


def _detected(
    run: Run, tag: str | None, mode: str | None, *, positive: bool | None = None, beside: str | None = None
) -> list[Incident]:
    series = series_of(run, tag)
    if tag is None or mode is None or series.values.size == 0 or _was_watched(run, tag):
        return []
    steps, others = series.steps.tolist(), series_of(run, beside)
    known = dict(zip(others.steps.tolist(), others.values.tolist(), strict=True))
    companion = [known.get(step) for step in steps] if known else None
    return detect(steps, series.values.tolist(), mode=mode, positive=positive, key=tag, beside=companion)


def _with_rate_jump(run: Run, incident: Incident) -> Incident:
    """The incident, and in its evidence the jump of the recorded learning rate that it follows, if it does."""
    steps = series_of(run, incident.key).steps
    interval = float(np.median(np.diff(steps))) if steps.size > 1 else 1.0
    for tag in run:
        if tag.split("/optimizer_")[0] == keys.OPTIM_LR or tag.rsplit("/", 1)[-1] in RATE_NAMES:
            jump = jump_behind(rate_jumps(run[tag].steps.tolist(), run[tag].values.tolist()), incident.step, interval)
            if jump is not None:
                return replace(incident, evidence={**incident.evidence, RATE_JUMP: jump._asdict()})
    return incident


def _was_watched(run: Run, tag: str) -> bool:
    """Whether our own monitor watched a series until it closed the record; a run that was killed had no time to."""
    if run.manifest is None or run.status not in CLOSED or tag not in WATCHED:
        return False
    return any(spec.key == tag for spec in run.manifest.signals)


def _same(one: Incident, other: Incident) -> bool:
    return one.key == other.key and one.step <= other.end_step and other.step <= one.end_step


def _shared(seeds: Sequence[Evidence], tag: str) -> frozenset[int]:
    onsets = [
        np.array([i.step for i in seed.incidents if i.key == tag and i.kind not in NEVER_SHARED], dtype=np.int64)
        for seed in seeds
    ]
    axes = (seed.run.steps(tag) if tag in seed.run else EMPTY.steps for seed in seeds)
    return frozenset(shared_steps(onsets, axes))


def _is_shared(incident: Incident, steps: frozenset[int]) -> bool:
    return incident.step in steps and incident.kind not in NEVER_SHARED
