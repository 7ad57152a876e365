"""The evaluations and checkpoints of one run: what to draw, and which checkpoint to ship."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stabilimeter.analysis.shipment import Shipment, best_before, noise_margin, shipment
from stabilimeter.records.checkpoint_log import Evaluation, SavedCheckpoint, SliceResult
from stabilimeter.records.run import Run
from stabilimeter.stats.checkpoint_regression import drawdown
from stabilimeter.stats.checkpoint_verdict import Verdict
from stabilimeter.stats.levels import oriented


@dataclass(frozen=True)
class RunCheckpoints:
    """What one run tells about its checkpoints.

    Attributes:
        monitor: The metric that decides.
        mode: ``"min"`` or ``"max"``.
        n_evaluations: Evaluations judged.
        n_worse: Of these, worse than the best before, beyond noise.
        n_unhealthy: Evaluations and saved checkpoints that were not healthy.
        max_drawdown: Furthest that an evaluation was behind the best so far, in the metric's unit; None if none was
            finite.
        regret: How far the last evaluation is behind the best, in the metric's unit.
        never_learned: Examples that no evaluation got right; None where outcomes are unknown.
        forgetting_events: Changes from right to wrong between evaluations; None where outcomes are unknown.
        last_healthy: Path of the last healthy checkpoint; None if there is none.
        ship: The checkpoint to ship; None if there is none, and ``reason`` says why.
        reason: Why there is none to ship.
    """

    monitor: str
    mode: str
    n_evaluations: int
    n_worse: int
    n_unhealthy: int
    max_drawdown: float | None
    regret: float | None
    never_learned: int | None
    forgetting_events: int | None
    last_healthy: str | None
    ship: Shipment | None
    reason: str | None


@dataclass(frozen=True, eq=False)
class SliceCourse:
    """One slice over the evaluations of a run.

    Attributes:
        name: Of the slice.
        n: Its examples at the last evaluation.
        values: Mean outcome, ``(num_evaluations,)``; NaN where it was not evaluated.
        verdicts: Against the best evaluation before, ``(num_evaluations,)``; None where nothing could be said.
        negative: Negative flips against it; None where unknown.
    """

    name: str
    n: int
    values: NDArray[np.float64]
    verdicts: tuple[Verdict | None, ...]
    negative: tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class CheckpointCourse:
    """Everything that is to be drawn of one run; arrays and tuples have one element per evaluation.

    Attributes:
        monitor: The metric.
        mode: ``"min"`` or ``"max"``.
        steps: int64.
        values: Of the metric; may be non-finite.
        best: The best value before each evaluation; NaN at the first.
        low: Lower end of what noise explains around ``best``: 2 standard errors of the difference; NaN if unknown, or
            if the verdict rests on another quantity than the metric.
        high: Upper end.
        verdicts: Against the best before; None where nothing could be said.
        evaluations: The evaluations as recorded, for everything else: flips, churn, p.
        slices: By name.
        saved: Checkpoints as recorded.
        last_healthy: The checkpoint that the pointer names.
        ship: The one to ship.
    """

    monitor: str
    mode: str
    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    best: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    verdicts: tuple[Verdict | None, ...]
    evaluations: tuple[Evaluation, ...]
    slices: tuple[SliceCourse, ...]
    saved: tuple[SavedCheckpoint, ...]
    last_healthy: SavedCheckpoint | None
    ship: Shipment | None


def checkpoint_course(run: Run) -> CheckpointCourse | None:
    """What there is to draw of a run; None where no evaluation was recorded."""
    log = run.checkpoints
    if log is None or not log.evaluations:
        return None
    evaluations = log.evaluations
    values = np.array([evaluation.value for evaluation in evaluations])
    best = best_before(evaluations)
    margins = np.array([noise_margin(one, reference) for one, reference in zip(evaluations, best, strict=True)])
    return CheckpointCourse(
        monitor=evaluations[-1].monitor,
        mode=evaluations[-1].mode,
        steps=np.array([evaluation.step for evaluation in evaluations], dtype=np.int64),
        values=values,
        best=best,
        low=best - margins,
        high=best + margins,
        verdicts=tuple(evaluation.verdict for evaluation in evaluations),
        evaluations=evaluations,
        slices=_slice_courses(evaluations),
        saved=log.saved,
        last_healthy=log.last_healthy,
        ship=shipment(log, folder_of(run))[0],
    )


def run_checkpoints(run: Run) -> RunCheckpoints | None:
    """What a run tells of its checkpoints, for a summary; None where no evaluation was recorded."""
    log = run.checkpoints
    if log is None or not log.evaluations:
        return None
    last = log.evaluations[-1]
    values = np.array([evaluation.value for evaluation in log.evaluations])
    behind = drawdown(oriented(values, last.mode))
    finite = behind[np.isfinite(behind)]
    ship, reason = shipment(log, folder_of(run))
    return RunCheckpoints(
        monitor=last.monitor,
        mode=last.mode,
        n_evaluations=len(log.evaluations),
        n_worse=sum(evaluation.verdict is Verdict.WORSE for evaluation in log.evaluations),
        n_unhealthy=sum(bool(one.unhealthy) for one in log.evaluations) + sum(bool(one.unhealthy) for one in log.saved),
        max_drawdown=float(finite.max()) if finite.size else None,
        regret=float(behind[-1]) if finite.size else None,
        never_learned=None if last.examples is None else last.examples.never_learned,
        forgetting_events=None if last.examples is None else last.examples.forgetting_events,
        last_healthy=None if log.last_healthy is None else log.last_healthy.path,
        ship=ship,
        reason=reason,
    )


def _slice_courses(evaluations: Sequence[Evaluation]) -> tuple[SliceCourse, ...]:
    found: dict[str, dict[int, SliceResult]] = {}
    for number, evaluation in enumerate(evaluations):
        for result in evaluation.slices:
            found.setdefault(result.name, {})[number] = result
    return tuple(_slice_course(name, results, len(evaluations)) for name, results in found.items())


def _slice_course(name: str, results: dict[int, SliceResult], n: int) -> SliceCourse:
    values = np.full(n, math.nan)
    verdicts: list[Verdict | None] = [None] * n
    negative: list[int | None] = [None] * n
    for number, result in results.items():
        values[number] = result.value
        verdicts[number] = None if result.comparison is None else result.comparison.verdict
        negative[number] = result.negative
    return SliceCourse(name, results[max(results)].n, values, tuple(verdicts), tuple(negative))


def folder_of(run: Run) -> Path:
    """The folder of a run, also where its log is a single file."""
    return run.path.parent if run.path.is_file() else run.path
