"""When a seed counts as failed, judged by its curves alone: rules on arrays."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.checkpoint_regression import best_so_far
from stabilimeter.stats.levels import Level, improvement, initial_level, level_of
from stabilimeter.stats.noise import noise_sd

STALLED_SHARE = 0.10
MIN_EVALUATIONS = 10
"""Fewer evaluations do not tell a collapse from a bad last checkpoint."""

TAIL_SHARE = 0.20
MIN_TAIL = 5
WORSE_NOISE_SD = 3.0
TAIL_NOISE_SD = 6.0
RESOLUTION_STEPS = 3.0
RECOVERED_SHARE = 0.5
BEST_WINDOW_SHARE = 0.05


def ends_nonfinite(values: NDArray[np.float64]) -> bool:
    """Whether the last 1 % of a series (at least its last value) is NaN or infinite.

    The last value decides, or more than half of the last 1 %: one NaN that recovers is an incident, not a failure.

    >>> ends_nonfinite(np.array([2.0, np.nan, 1.5])), ends_nonfinite(np.array([2.0, 1.5, np.nan]))
    (False, True)
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0:
        return False
    end = ~np.isfinite(values[-max(1, math.ceil(0.01 * values.size)) :])
    return bool(end[-1] or end.mean() > 0.5)


def is_worse_at_the_end(values: NDArray[np.float64], *, evaluations: bool = False) -> bool:
    """Whether the final level of a series is worse than its initial level by 3 standard errors.

    A series that does not change at all is not worse: a run at learning rate 0 repeats its metric bit for bit. Fewer
    than 10 steps do not tell. Of ten evaluations or more it is enough that each of the last 20 % (at least 5) is worse
    than each of the first five, which chance does once in 252 times at most: a dead model may flip between two constant
    answers, so that no standard error is small.

    Args:
        values: One series, oriented so that lower is better, shape ``(n,)``.
        evaluations: As for `levels.initial_level`.

    >>> is_worse_at_the_end(np.linspace(2.0, 3.0, 100)), is_worse_at_the_end(np.full(100, 2.0))
    (True, False)
    """
    if not evaluations and np.isfinite(values).sum() < MIN_EVALUATIONS:
        return False
    change = improvement(values, evaluations=evaluations)
    return Level(-change.value, change.se).is_positive or (evaluations and _worse_throughout(values))


def _worse_throughout(values: NDArray[np.float64]) -> bool:
    finite = values[np.isfinite(values)]
    if finite.size < MIN_EVALUATIONS:
        return False
    tail = finite[-max(MIN_TAIL, math.ceil(TAIL_SHARE * finite.size)) :]
    return bool(tail.min() > finite[:MIN_TAIL].max())


def stalled_among(improvements: Sequence[Level], finals: Sequence[float]) -> list[bool]:
    """Which seeds hardly improved while most of their siblings did.

    A seed is stalled if more than half of the other seeds improved by 3 standard errors, and it improved by less than
    10 % of the median of the others and ends behind their median level by more than half of that. The latter because
    initial values can make the first loss of seeds differ tenfold: the luckiest has little left to improve.

    Args:
        improvements: `levels.improvement` of every seed of a group.
        finals: Final level of every seed, lower is better.

    >>> stalled_among([Level(2.0, 0.1), Level(0.1, 0.1), Level(2.2, 0.1), Level(1.9, 0.1)], [1.0, 2.9, 1.1, 1.0])
    [False, True, False, False]
    """
    stalled = []
    for seed, (own, final) in enumerate(zip(improvements, finals, strict=True)):
        others = [k for k, other in enumerate(improvements) if k != seed and math.isfinite(other.value)]
        most_improved = sum(improvements[k].is_positive for k in others) > len(others) / 2
        typical = float(np.median([improvements[k].value for k in others])) if others else math.nan
        behind = final - float(np.median([finals[k] for k in others])) if others else math.nan
        stalled.append(bool(most_improved and own.value < STALLED_SHARE * typical and behind > typical / 2))
    return stalled


def collapse_size(
    evaluation_steps: NDArray[np.int64],
    evaluations: NDArray[np.float64],
    training: Sequence[tuple[NDArray[np.int64], NDArray[np.float64]]],
) -> float | None:
    """How much a run that has collapsed gave back; None if it has not collapsed.

    A run has collapsed if all evaluations in its last 20 % (at least 5) are worse than its best level by 3 standard
    deviations of their noise, and

    - at the end (median of the last three) by more than 6 standard deviations of the noise around their trend and three
      steps of the metric's resolution (for an accuracy, three examples), or by more than half of all it had gained;
    - it is not on its way back, as after a learning-rate restart: at least half of what the tail had lost in the median
      is still lost at the end;
    - training got worse with it: the level of a training loss over the same steps is above the level it had when the
      best evaluation was made, by 3 standard errors. That is what tells a collapse from overfitting, where training
      goes on improving. Where no training series covers these steps, half of the gain must be lost.

    Args:
        evaluation_steps: Shape ``(n,)``, increasing.
        evaluations: Oriented so that lower is better, shape ``(n,)``; non-finite ones are left out.
        training: Steps and values, each of shape ``(m,)``, of every training loss there is: per step, and evaluated
            on the training data, which is less noisy. May be empty.

    Returns:
        Level at the end (median of the last three evaluations) minus the best level, in the unit of ``evaluations``.

    >>> steps = np.arange(40)
    >>> down_and_up = np.concatenate([np.linspace(5, 1, 20), np.full(20, 3.0)])
    >>> collapse_size(steps, down_and_up, [(steps, down_and_up)])
    1.789...
    >>> collapse_size(steps, down_and_up, [(steps, np.linspace(5, 0, 40))]) is None  # overfitting
    True
    """
    finite = np.isfinite(evaluations)
    evaluation_steps, evaluations = evaluation_steps[finite], np.asarray(evaluations, dtype=np.float64)[finite]
    if evaluations.size < MIN_EVALUATIONS:
        return None
    size = max(MIN_TAIL, math.ceil(TAIL_SHARE * evaluations.size))
    tail, before = evaluations[-size:], evaluations[:-size]
    best = float(best_so_far(before)[-1])
    lost = float(np.median(tail[-3:])) - best
    at_best = int(np.argmin(np.abs(before - best)))
    # a steep start inflates the one, a wild end the other
    usual_noise = min(noise_sd(before[: max(5, at_best + 1)]), noise_sd(evaluations))
    worse_throughout = bool(np.all(tail > best + WORSE_NOISE_SD * usual_noise))
    if not worse_throughout or lost < RECOVERED_SHARE * (float(np.median(tail)) - best):
        return None
    gained = initial_level(evaluations, evaluations=True).value - best
    lost_half = lost > gained / 2
    ordinary = max(TAIL_NOISE_SD * max(noise_sd(tail), usual_noise), RESOLUTION_STEPS * _resolution(evaluations))
    tail_start = int(evaluation_steps[-size])
    risen = [_has_risen(steps, values, int(evaluation_steps[at_best]), tail_start) for steps, values in training]
    known = [verdict for verdict in risen if verdict is not None]
    collapsed = (lost > ordinary or lost_half) and (any(known) if known else lost_half)
    return lost if collapsed else None


def _has_risen(steps: NDArray[np.int64], training: NDArray[np.float64], best_step: int, tail_start: int) -> bool | None:
    """Whether training is worse from ``tail_start`` on than just before ``best_step``; None if not recorded there."""
    finite = np.isfinite(training)
    steps, training = steps[finite], np.asarray(training, dtype=np.float64)[finite]
    late = training[steps >= tail_start]
    if late.size == 0 or training.size < MIN_EVALUATIONS or int(steps[0]) > best_step:
        return None
    until_best = training[steps <= best_step]
    at_best = level_of(until_best[-max(3, math.ceil(BEST_WINDOW_SHARE * training.size)) :], training)
    at_end = level_of(late, training)
    return Level(at_end.value - at_best.value, math.hypot(at_end.se, at_best.se)).is_positive


def _resolution(values: NDArray[np.float64]) -> float:
    gaps = np.diff(np.unique(values))
    return float(gaps.min()) if gaps.size else 0.0
