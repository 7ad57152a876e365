"""A loss that turns round: too many values in a row on the bad side of the recent past.

The window follows a loss that begins to rise, and none of its values stands out. So each accepted value is ranked among
80 accepted values that came 8 to 16 values before it, and the normal scores of the ranks go into Page's cumulative sum:
scores above `_ALLOWANCE` add up, and the sum starts again from zero whenever it would fall below. Ranks have the same
distribution whatever the shape of the noise, and an improving loss only has low ones.

Values that depend on the one before are worth less. Their dependence is the noise of medians of 8 values beside that
of single steps, 1 where all values are independent, about 4 for an autoregressive series with coefficient 0.9; scores
are divided by it.

Sources: E. S. Page, Continuous inspection schemes, Biometrika 41 (1954); B. van der Waerden, Order tests for the
two-sample problem (1952), for the scores.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import inf, log, sqrt
from statistics import median
from typing import NamedTuple

from scipy.special import ndtri

from stabilimeter.stats.window import FLOAT32_ROUNDING, TINY, middle_and_scale

_BLOCK = 8
_FEWEST_BLOCKS, _MOST_BLOCKS = 4, 10
_MEDIANS = 32
_ALLOWANCE = 0.5
_HIGHEST = 1.5  # of the alarm threshold: how far the sum can rise, and so how long a return takes
_OVER = 0.5
_VISIBLE = 1.0
_SLIGHT = 2.0
_SETTLED_BLOCKS = 16
_MOVE_TO_SD = 1.0483  # standard deviation of independent Gaussian values over the median of their moves
_PRIOR_BLOCKS = 4
_MOST_DEPENDENT = 20.0
_MEDIAN_WIDTH = 1.2533  # standard deviation of a median of many Gaussian values, times the root of their number
_RATE_AT_ZERO, _RATE_DECAY = 0.15, 0.7  # measured: `benchmarks/calibration.py`
_SCORES = [[float(ndtri((rank + 0.5) / (n + 1))) for rank in range(n + 1)] for n in range(_BLOCK * _MOST_BLOCKS + 1)]


class Setback(NamedTuple):
    """The sum and what it is measured against, in oriented values: high is bad.

    Attributes:
        block: The values that make up the next block of 8.
        recent: The last blocks, oldest value first; at most 11 of them.
        medians: The medians of the last blocks; at most 32.
        seen: Number of blocks.
        reference: The values to rank among, ascending; empty while there are too few.
        dependence: How many times less than an independent one a value is worth.
        total: The cumulative sum.
        since: Step at which the sum left zero.
        points: Number of values since then.
        before: Level before that: median of the reference.
        noise: Standard deviation of the reference.
        alarmed: Whether an alarm has been raised that is not over.
        first: Level when it was raised: median of the last 8 values.
        level: Median of the last block since then.
        last_step: Last step of the last block that was not back.
        peak: Median of the worst block since then.
        peak_step: Last step of that.
        since_peak: Number of blocks after that.
    """

    block: tuple[float, ...] = ()
    recent: tuple[float, ...] = ()
    medians: tuple[float, ...] = ()
    seen: int = 0
    reference: tuple[float, ...] = ()
    dependence: float = 1.0
    total: float = 0.0
    since: int = 0
    points: int = 0
    before: float = 0.0
    noise: float = inf
    alarmed: bool = False
    first: float = -inf
    level: float = -inf
    last_step: int = 0
    peak: float = -inf
    peak_step: int = 0
    since_peak: int = 0

    @property
    def has_returned(self) -> bool:
        """Whether the values are back where they were."""
        return self.level < self.before + self.noise

    @property
    def was_slight(self) -> bool:
        """Whether it came to nothing: the values are back, and no block of them was far off."""
        return self.has_returned and self.peak < self.before + _SLIGHT * self.noise


def threshold(alarm_rate: float) -> float:
    """The sum beyond which an alarm is raised: stationary noise gets there at a third of ``alarm_rate``, or less."""
    return log(_RATE_AT_ZERO / alarm_rate) / _RATE_DECAY


def followed(setback: Setback, step: int, value: float, limit: float) -> Setback:
    """The state after one more accepted value; ``limit`` is the `threshold`."""
    total, since, points = setback.total, setback.since, setback.points
    if setback.reference:
        if total == 0.0:
            since, points = step, 0
        total = _added(total, _score(setback.reference, value), setback.dependence, limit)
        points += 1
    block = (*setback.block, value)
    after = setback._replace(block=block, total=total, since=since, points=points)
    if total > limit and not setback.alarmed:
        last = (setback.recent + block)[-2 * _BLOCK :]
        level = median(last[-_BLOCK:])
        noise = median(abs(after - before) for before, after in pairwise(last)) * _MOVE_TO_SD
        if level > setback.before + _VISIBLE * max(setback.noise, noise):
            after = after._replace(
                alarmed=True, first=level, level=level, last_step=step, peak=level, peak_step=step, since_peak=0
            )
    return after if len(block) < _BLOCK else _with_block(after, step)


def over(setback: Setback, limit: float) -> bool:
    """Whether a setback that raised the alarm has ended: the values are back, or have found a new level."""
    return setback.alarmed and (setback.total < _OVER * limit or setback.since_peak >= _SETTLED_BLOCKS)


def passed(setback: Setback, steps: Sequence[int], values: Sequence[float], limit: float) -> tuple[int, Setback]:
    """The number of values before an alarm is raised or over (all, if none is), and the state after those."""
    at = 0
    while at < len(values):
        reference, dependence, alarmed = setback.reference, setback.dependence, setback.alarmed
        total, since, points = setback.total, setback.since, setback.points
        start, end = at, min(len(values), at + _BLOCK - 1 - len(setback.block))
        while at < end:
            if reference:
                more = _added(total, _score(reference, values[at]), dependence, limit)
                if more < _OVER * limit if alarmed else more > limit:
                    break
                since, points = (steps[at], 1) if total == 0.0 else (since, points + 1)
                total = more
            at += 1
        block = setback.block + tuple(values[start:at])
        setback = setback._replace(block=block, total=total, since=since, points=points)
        if at == len(values):
            break
        after = followed(setback, steps[at], values[at], limit)
        if after.alarmed != alarmed or over(after, limit):
            break
        setback, at = after, at + 1
    return at, setback


def _added(total: float, score: float, dependence: float, limit: float) -> float:
    return min(max(0.0, total + score / dependence - _ALLOWANCE), _HIGHEST * limit)


def _with_block(setback: Setback, step: int) -> Setback:
    block = setback.block
    recent = (setback.recent + block)[-_BLOCK * (_MOST_BLOCKS + 1) :]
    level = median(block)
    seen = setback.seen + 1
    medians = (*setback.medians, level)[-min(max(seen // 2, 4), _MEDIANS) :]
    after = setback._replace(block=(), recent=recent, medians=medians, seen=seen)
    if setback.alarmed:
        after = after._replace(level=level, since_peak=setback.since_peak + 1)
        if not after.has_returned:
            after = after._replace(last_step=step)
        return after._replace(peak=level, peak_step=step, since_peak=0) if level > setback.peak else after
    if seen <= _FEWEST_BLOCKS:
        return after
    reference = tuple(sorted(recent[:-_BLOCK]))
    before, noise = middle_and_scale(reference, FLOAT32_ROUNDING * max(-reference[0], reference[-1]) + TINY)
    return after._replace(
        reference=reference, before=before, noise=noise, dependence=_dependence(recent, medians, noise)
    )


def _score(reference: tuple[float, ...], value: float) -> float:
    """Normal score of the rank of a value; the mean over its ties."""
    low = bisect_left(reference, value)
    scores = _SCORES[len(reference)]
    return 0.5 * (scores[low] + scores[bisect_right(reference, value, low)])


def _dependence(recent: tuple[float, ...], medians: tuple[float, ...], noise: float) -> float:
    later = recent[-len(medians) * _BLOCK :]  # the descent of the first steps says little about the noise
    moves = sorted(after - before for before, after in pairwise(later))
    _, single = middle_and_scale(tuple(moves), 1e-3 * noise)
    changes = [after - before for before, after in pairwise(medians)]
    descent = min(median(changes), 0.0)
    per_value = sqrt(_BLOCK) / _MEDIAN_WIDTH / single
    squares = [min(abs(change - descent) * per_value, _MOST_DEPENDENT) ** 2 for change in changes]
    return max(1.0, sqrt((_PRIOR_BLOCKS + sum(squares)) / (_PRIOR_BLOCKS + len(squares))))
