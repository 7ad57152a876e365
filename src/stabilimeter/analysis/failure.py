"""Which seeds of a group failed, each with the reason."""

import math
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stabilimeter.analysis.evidence import Evidence, final_value, series_of
from stabilimeter.analysis.roles import is_validation
from stabilimeter.records.manifest import RunStatus
from stabilimeter.stats.failure import (
    MIN_EVALUATIONS,
    collapse_size,
    ends_nonfinite,
    is_worse_at_the_end,
    stalled_among,
)
from stabilimeter.stats.levels import Level, final_level, improvement, initial_level, lasting_improvement, oriented

COMPLETE_SHARE = 0.98
MAX_FIRST_STEP_SHARE = 0.01


class Reason(str, Enum):
    """The word that a failure reason starts with."""

    NONFINITE = "nonfinite"
    NO_PROGRESS = "no_progress"
    COLLAPSED = "collapsed"
    EXCEPTION = "exception"
    DIED = "died"
    INCOMPLETE = "incomplete"
    TARGET_MISSED = "target_missed"


def failure_reasons(
    seeds: Sequence[Evidence], *, target: float | None = None, expect_progress: bool = True
) -> list[str | None]:
    """Why each seed counts as failed; None for a seed that does not.

    The reason starts with a word of `Reason`; where several apply, the first in this order is given: ``nonfinite``
    (and how the run ended), ``exception``, ``died``, ``incomplete``, ``collapsed``, ``no_progress``, ``target_missed``.

    Args:
        seeds: The finished seeds of one group, each distinct result once.
        target: Value of the primary metric that the final value must reach.
        expect_progress: Off where the loss need not fall: GANs, reinforcement learning, fine-tuning.
    """
    stalled = _stalled(seeds) if expect_progress else [None] * len(seeds)
    reasons = []
    for seed, stall in zip(seeds, stalled, strict=True):
        broken = [reason for reason in (_nonfinite(seed), _bad_end(seed)) if reason is not None]
        worse = _worse(seed) if expect_progress else None
        poor = [
            reason for reason in (_collapsed(seed), worse, stall, _target_missed(seed, target)) if reason is not None
        ]
        reasons.append("; ".join(broken) or next(iter(poor), None))
    return reasons


def _nonfinite(seed: Evidence) -> str | None:
    first_named = dict.fromkeys((*seed.roles.training_losses, *filter(is_validation, seed.roles.losses)))
    ordered = [*first_named, *(tag for tag in seed.roles.losses if tag not in first_named)]
    tags = [tag for tag in ordered if ends_nonfinite(series_of(seed.run, tag).values)]
    if not tags:
        return _said_to_be_nonfinite(seed)
    first = min(_first_of_last_nonfinite(seed, tag) for tag in tags)
    return f"{Reason.NONFINITE.value}: {_some(tags)} not finite from step {first} to the end"


def _said_to_be_nonfinite(seed: Evidence) -> str | None:
    """Our own monitor also sees what no loss shows, such as a gradient norm that stays infinite."""
    if seed.run.status is not RunStatus.DIVERGED or _is_short(seed):
        return None
    said = seed.run.manifest.reason if seed.run.manifest is not None else None
    return f"{Reason.NONFINITE.value}: {said or 'the run says that it diverged'}"


def _first_of_last_nonfinite(seed: Evidence, tag: str) -> int:
    series = seed.run[tag]
    finite = np.flatnonzero(np.isfinite(series.values))
    position = int(finite[-1]) + 1 if finite.size else 0
    return int(series.steps[min(position, series.steps.size - 1)])


def _bad_end(seed: Evidence) -> str | None:
    """What the end mark of our own records says; foreign logs carry none."""
    manifest = seed.run.manifest
    if manifest is None:
        return None
    why = f" ({manifest.reason})" if manifest.reason else ""
    last = seed.last_step
    at = "before the first step" if last is None else f"at step {last}"
    if seed.run.status is RunStatus.FAILED:
        return f"{Reason.EXCEPTION.value}: {manifest.reason or 'no message recorded'}, {at}"
    if seed.run.status is RunStatus.DIED:
        return f"{Reason.DIED.value}: no end mark, last seen {at}{why}"
    if seed.run.status in (RunStatus.COMPLETED, RunStatus.DIVERGED) and _is_short(seed):
        return f"{Reason.INCOMPLETE.value}: {_steps_done(seed)} of {manifest.planned_steps} planned steps{why}"
    return None


def _steps_done(seed: Evidence) -> int:
    return 0 if seed.last_step is None else seed.last_step + 1


def _is_short(seed: Evidence) -> bool:
    """Whether a run of ours ended before its planned steps; one that was stopped while diverging is, for example."""
    planned = seed.run.manifest.planned_steps if seed.run.manifest is not None else None
    return planned is not None and _steps_done(seed) < COMPLETE_SHARE * planned


def _collapsed(seed: Evidence) -> str | None:
    training = [seed.run[tag] for tag in seed.roles.training_losses if tag in seed.run]
    pairs = [(series.steps, series.values) for series in training]
    tags = [tag for tag in seed.roles.losses if is_validation(tag) and tag in seed.run and tag != seed.primary.tag]
    evaluated = [(tag, seed.run[tag].steps, seed.run[tag].values) for tag in tags]
    if seed.primary.tag is not None and seed.evaluations.values.size:
        evaluated.insert(0, (seed.primary.tag, seed.evaluations.steps, seed.evaluations.values))
    for tag, steps, values in evaluated:
        lost = collapse_size(steps, values, pairs)
        if lost is not None:
            best = int(steps[int(np.nanargmin(values))])
            return f"{Reason.COLLAPSED.value}: {tag} ends {lost:.3g} worse than its best (step {best}), for good"
    return None


def _worse(seed: Evidence) -> str | None:
    """The learning curve ends worse than it began, or training gained nothing and the primary metric ends worse."""
    curve = _learning_curve(seed)
    if curve is None:
        return None
    if not is_worse_at_the_end(curve.values, evaluations=curve.evaluations):
        if curve.evaluations or lasting_improvement(curve.values).is_positive or not seed.evaluations.values.size:
            return None
        curve = _Curve(seed.primary.tag or "", seed.evaluations.values, True)
        if curve.values.size < MIN_EVALUATIONS or not is_worse_at_the_end(curve.values, evaluations=True):
            return None
    sign = -1.0 if curve.evaluations and seed.primary.mode == "max" else 1.0
    first = sign * initial_level(curve.values, evaluations=curve.evaluations).value
    last = sign * final_level(curve.values).value
    return f"{Reason.NO_PROGRESS.value}: {curve.tag} ends at {last:.4g}, worse than its start at {first:.4g}"


def _stalled(seeds: Sequence[Evidence]) -> list[str | None]:
    unknown = Level(math.nan, math.nan)
    tags, improvements, finals = [], [], []
    for seed in seeds:
        curve = _learning_curve(seed)
        tags.append(None if curve is None else curve.tag)
        improvements.append(unknown if curve is None else improvement(curve.values, evaluations=curve.evaluations))
        finals.append(math.nan if curve is None else final_level(curve.values).value)
    finite = [level.value for level in improvements if math.isfinite(level.value)]
    typical = float(np.median(finite)) if finite else math.nan
    return [
        f"{Reason.NO_PROGRESS.value}: {tag} improved by {own.value:.3g}, the group by {typical:.3g} in the median"
        if stalled and tag is not None
        else None
        for stalled, tag, own in zip(stalled_among(improvements, finals), tags, improvements, strict=True)
    ]


class _Curve(NamedTuple):
    """The series by which progress is judged, oriented so that lower is better."""

    tag: str
    values: NDArray[np.float64]
    evaluations: bool


def _learning_curve(seed: Evidence) -> _Curve | None:
    """The training loss, else the primary metric; None if there is neither, or the record starts late."""
    for tag, series, evaluations in (
        (seed.roles.train_loss, seed.train_loss, False),
        (seed.primary.tag, seed.evaluations, True),
    ):
        if tag is not None and series.values.size:
            late = int(series.steps[0]) > max(1, MAX_FIRST_STEP_SHARE * (seed.last_step or 0))
            return None if late else _Curve(tag, series.values, evaluations)
    return None


def _target_missed(seed: Evidence, target: float | None) -> str | None:
    if target is None or seed.primary.mode is None:
        return None
    wanted = float(oriented(np.array([target]), seed.primary.mode)[0])
    final = final_value(seed)
    if final <= wanted:
        return None
    shown = "missing" if np.isnan(final) else f"{float(oriented(np.array([final]), seed.primary.mode)[0]):.4g}"
    return f"{Reason.TARGET_MISSED.value}: final {seed.primary.tag} is {shown}, the target {target:g}"


def _some(tags: Sequence[str]) -> str:
    return tags[0] if len(tags) == 1 else f"{tags[0]} and {len(tags) - 1} more"
