"""The judged evaluations and saved checkpoints of one run, as the tab draws them."""

import math
from typing import Any

import numpy as np

from stabilimeter.analysis.checkpoints import CheckpointCourse, SliceCourse, checkpoint_course
from stabilimeter.present.wording import number, printable
from stabilimeter.records.checkpoint_log import Evaluation
from stabilimeter.records.run import Run
from stabilimeter.stats.checkpoint_verdict import Verdict
from stabilimeter.stats.decimation import extremes
from stabilimeter.tensorboard_plugin.polyline import plain

MAX_EVALUATIONS = 1_000
MAX_SLICES = 40
MAX_CELLS = 60
"""Verdicts shown of one slice: its last evaluations."""


def course_of(run: Run) -> dict[str, Any] | None:
    """The metric with its noise band, verdicts, flips, slices and checkpoints; None where nothing was judged."""
    course = checkpoint_course(run)
    if course is None:
        return None
    kept = extremes(course.values, MAX_EVALUATIONS)
    evaluations = [course.evaluations[index] for index in kept]
    return {
        "monitor": printable(course.monitor),
        "steps": course.steps[kept].tolist(),
        "values": plain(course.values[kept]),
        "best": plain(course.best[kept]),
        "low": plain(course.low[kept]),
        "high": plain(course.high[kept]),
        "verdicts": [None if one.verdict is None else one.verdict.value for one in evaluations],
        "words": [_in_words(one) for one in evaluations],
        "n_worse": sum(verdict is Verdict.WORSE for verdict in course.verdicts),
        "n_judged": sum(verdict is not None for verdict in course.verdicts),
        "flips": _flips(evaluations),
        "slices": [_slice(one, course) for one in _worst_first(course)[:MAX_SLICES]],
        "n_slices": len(course.slices),
        "saved": [
            {"step": one.step, "path": printable(one.path), "unhealthy": printable("; ".join(one.unhealthy))}
            for one in course.saved
        ],
        "last_healthy": None
        if course.last_healthy is None
        else {"step": course.last_healthy.step, "path": printable(course.last_healthy.path)},
        "ship": None
        if course.ship is None
        else {"step": course.ship.step, "path": printable(course.ship.path), "reason": printable(course.ship.reason)},
    }


def _in_words(evaluation: Evaluation) -> str:
    """What was found at one evaluation."""
    parts = []
    best = evaluation.against_best
    if best is not None:
        word = "as" if best.verdict is Verdict.SAME else "than"
        text = f"{best.verdict.value} {word} the best before, of step {best.step}"
        known = math.isfinite(best.p)
        parts.append(text + (f" (by {number(abs(best.difference), 3)}, p = {number(best.p, 2)})" if known else ""))
    changes = evaluation.examples
    if changes is not None and changes.negative is not None:
        parts.append(f"of {changes.n} examples {changes.negative} got lost and {changes.positive} were won")
    return "; ".join([*parts, *(printable(reason) for reason in evaluation.unhealthy)])


def _flips(evaluations: list[Evaluation]) -> dict[str, Any] | None:
    """Examples lost and won against the best before, and the share predicted differently from the one just before."""
    changes = [one.examples for one in evaluations]
    lost = [None if one is None else one.negative for one in changes]
    won = [None if one is None else one.positive for one in changes]
    churn = [None if one is None else one.churn for one in changes]
    if all(value is None for value in (*lost, *won, *churn)):
        return None
    return {
        "lost": lost,
        "won": won,
        "churn": churn,
        "n": max((one.n for one in changes if one is not None), default=0),
    }


def _worst_first(course: CheckpointCourse) -> list[SliceCourse]:
    return sorted(course.slices, key=lambda one: -sum(verdict is Verdict.WORSE for verdict in one.verdicts))


def _slice(one: SliceCourse, course: CheckpointCourse) -> dict[str, Any]:
    known = np.flatnonzero(np.isfinite(one.values))
    last = int(known[-1]) if known.size else None
    verdicts = [None if verdict is None else verdict.value for verdict in one.verdicts]
    return {
        "name": printable(one.name),
        "n": one.n,
        "value": number(None if last is None else float(one.values[last])),
        "lost": None if last is None else one.negative[last],
        "verdicts": verdicts[-MAX_CELLS:],
        "steps": course.steps[-MAX_CELLS:].tolist(),
        "n_worse": sum(verdict is Verdict.WORSE for verdict in one.verdicts),
    }
