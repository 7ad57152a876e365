"""Everything about one group: runs that differ in the seed only."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from stabilimeter.analysis import notes
from stabilimeter.analysis.bands import bands_of
from stabilimeter.analysis.directions import mode_of
from stabilimeter.analysis.evidence import Evidence, Scales, final_value, scales_of
from stabilimeter.analysis.failure import failure_reasons
from stabilimeter.analysis.identical import copies
from stabilimeter.analysis.incidents import incidents_of, with_shared_marked
from stabilimeter.analysis.metrics import group_metric, run_metric
from stabilimeter.analysis.primary import Primary, UnknownMetricError, primary_of
from stabilimeter.analysis.roles import roles_in
from stabilimeter.analysis.scores import scores_of, troubles_of
from stabilimeter.analysis.summary import GroupMetric, GroupSummary, RunMetric, RunSummary, Stability
from stabilimeter.records.manifest import RunStatus
from stabilimeter.records.run import Run
from stabilimeter.records.sweep import RunGroup
from stabilimeter.stats.stability import COMPONENTS, HalfPoints, stability_score

UNFINISHED = (RunStatus.RUNNING, RunStatus.CANCELLED)


def summarize_group(
    group: RunGroup,
    *,
    root: Path,
    rng: np.random.Generator,
    metric: str | None,
    mode: str | None,
    target: float | None,
    interval: str,
    expect_progress: bool,
    half_points: HalfPoints,
) -> GroupSummary:
    """Summary of one group; the arguments are those of `summarize`, ``root`` is the folder summarised."""
    runs = group.runs
    primary = primary_of(runs, metric, mode)
    if target is not None and primary.mode is None:
        missing = "a primary metric" if primary.tag is None else f"the better direction of {primary.tag}"
        raise UnknownMetricError(f"group {group.label}: a target needs {missing}; give --metric TAG --mode min|max")
    roles = roles_in(runs)
    repeated = copies(runs, roles)
    everyone = [Evidence(run, roles, primary) for run in runs]
    everyone = [replace(seed, incidents=incidents_of(seed)) for seed in everyone]
    counted = [index for index in range(len(runs)) if index not in repeated]
    marked = dict(zip(counted, with_shared_marked([everyone[index] for index in counted]), strict=True))
    finished = {index: seed for index, seed in marked.items() if runs[index].status not in UNFINISHED}
    reasons = dict(
        zip(
            finished,
            failure_reasons(list(finished.values()), target=target, expect_progress=expect_progress),
            strict=True,
        )
    )
    survivors = [seed for index, seed in finished.items() if reasons[index] is None]
    scales = scales_of(survivors)
    modes = _modes(runs, primary)
    summaries = tuple(
        RunSummary(
            path=_relative(run.path, root),
            seed=run.label if run.seed is None else run.seed,
            status=run.status.value,
            failed=reasons.get(index) is not None,
            failure_reason=reasons.get(index),
            last_step=everyone[index].last_step,
            incidents=(seed := marked.get(index, everyone[index])).incidents,
            metrics=_run_metrics(seed, modes),
            scores=scores_of(seed, scales, half_points),
            copy_of=_relative(runs[repeated[index]].path, root) if index in repeated else None,
        )
        for index, run in enumerate(runs)
    )
    bands, inexact = bands_of(list(marked.values()))
    ended = list(finished.values())
    return GroupSummary(
        key=group.key,
        label=group.label,
        n_runs=len(runs),
        n_failed=len(ended) - len(survivors),
        n_running=sum(run.status is RunStatus.RUNNING for run in runs),
        n_cancelled=sum(run.status is RunStatus.CANCELLED for run in runs),
        runs=summaries,
        metrics=_group_metrics([summaries[index] for index in finished], modes, rng, interval),
        metrics_ok=_group_metrics([summaries[i] for i in finished if reasons[i] is None], modes, rng, interval),
        stability=_stability(survivors, len(ended) - len(survivors), scales, half_points),
        notes=(
            *([primary.note] if primary.note else []),
            *notes.copies_note(runs, repeated),
            *notes.missing_tags([seed.run for seed in ended]),
            *notes.unequal_lengths(ended),
            *notes.not_measured(survivors, scales),
            *notes.unaligned(inexact),
            *notes.run_notes(runs),
        ),
        bands=bands,
        primary_metric=primary.tag,
    )


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


def _modes(runs: Sequence[Run], primary: Primary) -> Mapping[str, str | None]:
    tags = sorted({tag for run in runs for tag in run})
    return {tag: primary.mode if tag == primary.tag else mode_of(tag) for tag in tags}


def _run_metrics(seed: Evidence, modes: Mapping[str, str | None]) -> dict[str, RunMetric]:
    series = {tag: seed.run[tag] for tag in sorted(seed.run.keys())}
    return {tag: run_metric(one, modes[tag]) for tag, one in series.items() if one.values.size}


def _group_metrics(
    runs: Sequence[RunSummary], modes: Mapping[str, str | None], rng: np.random.Generator, interval: str
) -> dict[str, GroupMetric]:
    return {
        tag: group_metric(
            [run.metrics[tag].final for run in runs if tag in run.metrics], mode, rng=rng, interval=interval
        )
        for tag, mode in modes.items()
    }


def _relative(path: Path, root: Path) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.as_posix()
