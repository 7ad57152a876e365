"""Worsening too slow to stand out in any single value.

The window follows a slow rise without alarm. So medians of 16 values are compared with their own past, by Page's
cumulative sum of their rises: rises above a quarter of their noise add up, and the sum starts again from zero whenever
it would fall below. A random walk reaches 20 in about one of 20,000 medians (the chance is exp(-2 * 0.25 * 20)); a
steady rise of one noise width per median does within 27. Medians of four such medians are watched in the same way, and
so on, for rises that are slower still.

Source: E. S. Page, Continuous inspection schemes, Biometrika 41 (1954).
"""

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.detection.window import YOUNG, Track, extended, middle_and_scale, middle_of

FIRST_BLOCK = 16
_LATER_BLOCK = 4
_SLOWEST = 4096
_ALLOWANCE = 0.25
_ALARM = 20.0
_VISIBLE = 4.0


class Drift(NamedTuple):
    """What is known of slow change at one time scale, in oriented values: a rise is bad.

    Attributes:
        points: Number of values behind each median.
        block: The values, or the faster medians, that make up the next median.
        block_step: Step of the first of them.
        level: The last median; None before there is one.
        rises: The last differences between medians.
        total: The cumulative sum of rises, in units of their noise.
        onset_step: Where the sum last was zero.
        onset: The level there.
        peak_step: Where the highest level since then began.
        peak: That level.
        peak_total: The highest sum since then.
        steepest: The largest single rise since then.
        slower: The same at the next time scale; None before there is a median.
    """

    points: int = FIRST_BLOCK
    block: tuple[float, ...] = ()
    block_step: int = 0
    level: float | None = None
    rises: Track = Track()
    total: float = 0.0
    onset_step: int = 0
    onset: float = inf
    peak_step: int = 0
    peak: float = -inf
    peak_total: float = 0.0
    steepest: float = 0.0
    slower: "Drift | None" = None


def followed(drift: Drift, step: int, value: float) -> Drift:
    """The state after one more value."""
    block_step = drift.block_step if drift.block else step
    block = (*drift.block, value)
    if len(block) < (FIRST_BLOCK if drift.points == FIRST_BLOCK else _LATER_BLOCK):
        return Drift(drift.points, block, block_step, *drift[3:])
    return _completed(drift, block_step, block)


def passed(
    drift: Drift, steps: Sequence[int], values: Sequence[float], scales: Sequence[float] | NDArray[np.float64]
) -> tuple[int, Drift]:
    """The number of values before a rise that raised the alarm is over (all, if none is), and the state after those.

    The same as `followed`, value by value.

    Args:
        drift: The state before, at the first time scale.
        steps: Step of each value.
        values: The values.
        scales: Noise of single values at each.
    """
    at, count = 0, len(values)
    while (end := at + FIRST_BLOCK - len(drift.block)) <= count:
        block_step = drift.block_step if drift.block else steps[at]
        after = _completed(drift, block_step, (*drift.block, *values[at:end]))
        rising = alarm(after, float(scales[end - 1]))
        if rising is not None and over(rising):
            count = end - 1
            break
        drift, at = after, end
    if at < count:
        block_step = drift.block_step if drift.block else steps[at]
        drift = Drift(drift.points, (*drift.block, *values[at:count]), block_step, *drift[3:])
    return count, drift


def _completed(drift: Drift, block_step: int, block: tuple[float, ...]) -> Drift:
    middle = middle_of(block)
    slower = drift.slower
    if drift.points < _SLOWEST:
        slower = followed(slower or Drift(points=drift.points * _LATER_BLOCK), block_step, middle)
    if drift.level is None:
        return drift._replace(block=(), block_step=block_step, level=middle, slower=slower)
    rise = middle - drift.level
    rises = extended(drift.rises, rise)
    if len(drift.rises.ranked) < YOUNG // 2:
        return drift._replace(block=(), block_step=block_step, level=middle, rises=rises, slower=slower)
    _, scale = middle_and_scale(drift.rises.ranked, 0.0)
    total = drift.total + (rise / scale if scale > 0.0 else 0.0) - _ALLOWANCE
    onset_step, onset, peak_step, peak = drift[6:10]
    if total <= 0.0:
        since = (0.0, onset_step, onset, peak_step, -inf, 0.0, 0.0)
    else:
        if drift.total == 0.0:
            onset_step, onset = block_step, drift.level
        if middle > peak:
            peak_step, peak = block_step, middle
        highest, steepest = max(drift.peak_total, total), max(drift.steepest, rise)
        since = (total, onset_step, onset, peak_step, peak, highest, steepest)
    return Drift(drift.points, (), block_step, middle, rises, *since, slower)


def alarm(drift: Drift | None, scale: float) -> Drift | None:
    """The time scale at which the level has risen steadily, and visibly beside noise of this ``scale``; or None."""
    while drift is not None:
        if drift.peak_total > _ALARM and drift.peak - drift.onset > _VISIBLE * scale:
            return drift
        drift = drift.slower
    return None


def over(drift: Drift) -> bool:
    """Whether a rise that raised the alarm has ended: half of the sum is gone again."""
    return drift.total < 0.5 * drift.peak_total
