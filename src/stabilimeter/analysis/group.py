"""Everything about one group: runs that differ in the seed only."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stabilimeter.analysis import notes
from stabilimeter.analysis.bands import bands_of
from stabilimeter.analysis.checkpoints import folder_of, run_checkpoints
from stabilimeter.analysis.evidence import Evidence, Scales, final_value, scales_of
from stabilimeter.analysis.examples import group_examples
from stabilimeter.analysis.failure import failure_reasons
from stabilimeter.analysis.identical import copies
from stabilimeter.analysis.incidents import incidents_of, with_shared_marked
from stabilimeter.analysis.metrics import group_metric, run_metric
from stabilimeter.analysis.primary import Primary, UnknownMetricError, primary_of
from stabilimeter.analysis.roles import Roles, roles_in
from stabilimeter.analysis.scores import pooled_spike_rate, scores_of, troubles_of
from stabilimeter.analysis.shipment import SeedShipment, group_shipment
from stabilimeter.analysis.summary import GroupMetric, GroupSummary, RunMetric, RunSummary, Stability
from stabilimeter.analysis.target import target_step, time_to_target
from stabilimeter.records.directions import mode_of
from stabilimeter.records.manifest import RunStatus
from stabilimeter.records.run import Run
from stabilimeter.records.sweep import RunGroup
from stabilimeter.stats.stability import COMPONENTS, HalfPoints, stability_score

UNFINISHED = (RunStatus.RUNNING, RunStatus.CANCELLED)
PARTS = 2
"""What is done of each run: its incidents, and then the rest, when those of the group are known."""


@dataclass(frozen=True)
class Options:
    """What the caller of `summarize` asked for; see there."""

    root: Path
    rng: np.random.Generator
    metric: str | None
    mode: str | None
    target: float | None
    interval: str
    expect_progress: bool
    half_points: HalfPoints


def summarize_group(group: RunGroup, options: Options, on_part: Callable[[], None]) -> GroupSummary:
    """Summary of one group; ``on_part`` is called ``PARTS`` times for each run."""
    runs = group.runs
    primary = primary_of(runs, options.metric, options.mode)
    if options.target is not None and primary.mode is None:
        missing = "a primary metric" if primary.tag is None else f"the better direction of {primary.tag}"
        raise UnknownMetricError(f"group {group.label}: a target needs {missing}; give --metric TAG --mode min|max")
    roles = roles_in(runs)
    repeated = copies(runs, roles)
    seeds = _gathered(runs, roles, primary, repeated, on_part)
    finished = [k for k, run in enumerate(runs) if k not in repeated and run.status not in UNFINISHED]
    found = failure_reasons(
        [seeds[k] for k in finished], target=options.target, expect_progress=options.expect_progress
    )
    reasons = dict(zip(finished, found, strict=True))
    survivors = [k for k in finished if reasons[k] is None]
    scales = scales_of([seeds[k] for k in survivors])
    modes = _modes(runs, primary)
    summaries = tuple(
        RunSummary(
            path=_relative(run.path, options.root),
            seed=run.seed,
            status=run.status.value,
            failed=reasons.get(k) is not None,
            failure_reason=reasons.get(k),
            last_step=seeds[k].last_step,
            incidents=seeds[k].incidents,
            metrics=_run_metrics(run, modes),
            scores=scores_of(seeds[k], scales, options.half_points),
            copy_of=_relative(runs[repeated[k]].path, options.root) if k in repeated else None,
            target_step=target_step(seeds[k], options.target),
            checkpoints=run_checkpoints(run),
            monitor_cost=None if run.manifest is None else run.manifest.monitor_cost,
        )
        for k, run in enumerate(_counted(runs, on_part))
    )
    bands, inexact = bands_of([seed for k, seed in enumerate(seeds) if k not in repeated])
    metrics = _group_metrics([summaries[k] for k in finished], modes, options)
    metrics_ok = _group_metrics([summaries[k] for k in survivors], modes, options)
    return GroupSummary(
        key=group.key,
        label=group.label,
        n_runs=len(runs),
        n_failed=len(finished) - len(survivors),
        n_running=sum(run.status is RunStatus.RUNNING for run in runs),
        n_cancelled=sum(run.status is RunStatus.CANCELLED for run in runs),
        runs=summaries,
        metrics=metrics,
        metrics_ok=metrics_ok,
        stability=_stability(
            [seeds[k] for k in survivors], len(finished) - len(survivors), scales, options.half_points
        ),
        notes=(
            *([primary.note] if primary.note else []),
            *notes.copies_note(runs, repeated),
            *notes.missing_tags([runs[k] for k in finished]),
            *notes.unequal_lengths([seeds[k] for k in finished]),
            *notes.not_measured([seeds[k] for k in survivors], scales),
            *notes.equal_finals(primary.tag, metrics_ok),
            *notes.unaligned(inexact),
            *notes.dear_monitoring(runs),
            *notes.run_notes(runs),
        ),
        bands=bands,
        primary_metric=primary.tag,
        spike_rate=pooled_spike_rate([seeds[k] for k in finished]),
        examples=group_examples([log for k in survivors if (log := runs[k].examples) is not None], options.rng),
        time_to_target=time_to_target([seeds[k] for k in finished], options.target),
        ship=group_shipment(_seed_shipments(runs, summaries, options.root)),
    )


def _gathered(
    runs: Sequence[Run], roles: Roles, primary: Primary, repeated: Collection[int], on_part: Callable[[], None]
) -> list[Evidence]:
    """Every run with its incidents; copies neither make an incident shared nor are charged for one."""
    seeds = []
    for run in _counted(runs, on_part):
        seed = Evidence(run, roles, primary)
        seeds.append(replace(seed, incidents=incidents_of(seed)))
    counted = [k for k in range(len(runs)) if k not in repeated]
    for k, seed in zip(counted, with_shared_marked([seeds[k] for k in counted]), strict=True):
        seeds[k] = seed
    return seeds


def _counted(runs: Sequence[Run], on_part: Callable[[], None]) -> Iterator[Run]:
    """The runs; ``on_part`` is called whenever the caller is done with one."""
    for run in runs:
        yield run
        on_part()


def _stability(survivors: Sequence[Evidence], n_failed: int, scales: Scales, half_points: HalfPoints) -> Stability:
    if not survivors and not n_failed:
        return Stability(None, None, None, None, None, None, {}, COMPONENTS, "no run has finished")
    result = stability_score(
        [troubles_of(seed, scales) for seed in survivors],
        n_failed,
        np.array([final_value(seed) for seed in survivors]),
        scales.evaluation.value if scales.evaluation.is_positive else None,
        half_points=half_points,
    )
    return Stability(
        score=result.score,
        low=result.low,
        high=result.high,
        given_completion=result.given_completion,
        failure_rate=result.failure_rate,
        failure_ci=result.failure_ci,
        points_lost=result.points_lost,
        not_measured=result.not_measured,
        reason=result.reason,
    )


def _seed_shipments(runs: Sequence[Run], summaries: Sequence[RunSummary], root: Path) -> list[SeedShipment]:
    found = []
    for run, about in zip(runs, summaries, strict=True):
        if about.checkpoints is not None and about.checkpoints.ship is not None:
            name = run.seed if isinstance(run.seed, str) else f"seed {run.seed}"
            path = _relative(folder_of(run), root)
            found.append(SeedShipment(path, name, about.failed, about.checkpoints.mode, about.checkpoints.ship))
    return found


def _modes(runs: Sequence[Run], primary: Primary) -> Mapping[str, str | None]:
    tags = sorted({tag for run in runs for tag in run})
    return {tag: primary.mode if tag == primary.tag else mode_of(tag) for tag in tags}


def _run_metrics(run: Run, modes: Mapping[str, str | None]) -> dict[str, RunMetric]:
    series = {tag: run[tag] for tag in sorted(run)}
    return {tag: run_metric(one, modes[tag]) for tag, one in series.items() if one.values.size}


def _group_metrics(
    runs: Sequence[RunSummary], modes: Mapping[str, str | None], options: Options
) -> dict[str, GroupMetric]:
    finals = {tag: [run.metrics[tag].final for run in runs if tag in run.metrics] for tag in modes}
    return {
        tag: group_metric(finals[tag], mode, rng=options.rng, interval=options.interval) for tag, mode in modes.items()
    }


def _relative(path: Path, root: Path) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.as_posix()
