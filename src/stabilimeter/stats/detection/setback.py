"""A loss that turns round: too many values in a row on the bad side of the recent past.

The window follows a loss that begins to rise, and none of its values stands out. So each accepted value is ranked among
80 accepted values that came 8 to 16 values before it, and what the normal score of the rank says for a rise goes into
Page's cumulative sum, which starts again from zero whenever it would fall below. Ranks have the same distribution
whatever the shape of the noise, and an improving loss only has low ones.

A rise may be slow or sudden, so a score counts as the log-likelihood ratio of a rise by one standard deviation or by
two, whichever is larger: ``max(z - 1/2, 2 z - 2)``.

Values that depend on the one before are worth less. Their dependence is the noise of medians of 8 values beside that
of single steps, 1 where all values are independent, about 4 for an autoregressive series with coefficient 0.9; scores
are divided by it.

Sources: E. S. Page, Continuous inspection schemes, Biometrika 41 (1954); B. van der Waerden, Order tests for the
two-sample problem (1952), for the scores.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from itertools import accumulate
from math import inf, log, sqrt
from operator import mul, sub
from typing import NamedTuple

from scipy.special import ndtri

from stabilimeter.stats.detection.window import middle_and_scale, middle_of, rounding_of

BLOCK = 8
"""Number of values behind each median."""

FEWEST_BLOCKS, MOST_BLOCKS = 4, 10
MEDIANS = 64
COMPANION_RISE = 0.7
"""How far a second signal rises when the series rises by one, in scores: `benchmarks/organic.py`, gradient norm."""

MOST_SUPPORT = 1.5
HIGHEST = 1.5  # of the alarm threshold: how far the sum can rise, and so how long a return takes
_OVER = 0.5
_CHANCES_OF_BOTH = 2.0
_VISIBLE = 0.75
_SLIGHT = 2.0
_BACK_BLOCKS = 2
_SETTLED_BLOCKS = 16
_MOVE_TO_SD = 1.0483  # standard deviation of independent Gaussian values over the median of their moves
PRIOR_BLOCKS = 4
MOST_DEPENDENT = 20.0
MEDIAN_WIDTH = sqrt(BLOCK) / 1.2533  # standard deviation of values over that of a median of so many Gaussian ones
_RATE_AT_ZERO, _RATE_DECAY = 0.15, 0.7  # measured: `benchmarks/calibration.py`
SCORES = [[float(ndtri((rank + 0.5) / (n + 1))) for rank in range(n + 1)] for n in range(BLOCK * MOST_BLOCKS + 1)]
"""Normal scores of the ranks among n values."""

_UPPER_PLACES = [27 * n // 32 for n in range(BLOCK * MOST_BLOCKS + 1)]
"""Which of n ranked values lies one standard deviation above the middle, if they are Gaussian."""


class Support(NamedTuple):
    """What a second signal says of the same step, see `companion.py`.

    Attributes:
        score: Normal score of its rank; high is bad.
        correlation: Correlation with the score of the series, 0 to 1.
    """

    score: float
    correlation: float

    def with_own(self, score: float) -> float:
        """The score of both together, by Fisher's linear discriminant; the own one where that does not rise."""
        if score <= 0.0:
            return score
        weight = max(COMPANION_RISE - self.correlation, 0.0) / (1.0 - COMPANION_RISE * self.correlation)
        return (score + weight * min(self.score, MOST_SUPPORT)) / sqrt(1.0 + weight * (weight + 2.0 * self.correlation))


class Setback(NamedTuple):
    """The sum and what it is measured against, in oriented values: high is bad.

    Attributes:
        block: The values that make up the next block of 8.
        recent: The last blocks, oldest value first; at most 11 of them.
        medians: The medians of the last blocks; at most 64.
        seen: Number of blocks.
        reference: The values to rank among, ascending; empty while there are too few.
        dependence: How many times less than an independent one a value is worth.
        total: The cumulative sum.
        since: Step at which the sum left zero.
        points: Number of values since then.
        before: Level before that: median of the reference.
        noise: Standard deviation of the reference; of its upper half, if that is wider.
        alarmed: Whether an alarm has been raised that is not over.
        first: Level when it was raised: median of the last 8 values.
        level: Median of the last block since then.
        last_step: Last step of the last block that was not back.
        peak: Median of the worst block since then.
        peak_step: Last step of that.
        since_peak: Number of blocks after that.
        back: Number of blocks in a row that were back.
        lasted: Number of blocks since the alarm.
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
    back: int = 0
    lasted: int = 0

    @property
    def has_returned(self) -> bool:
        """Whether the values are back where they were."""
        return self.level < self.before + _VISIBLE * self.noise

    @property
    def was_slight(self) -> bool:
        """Whether it came to nothing: the values are back, and no block of them was far off."""
        return self.has_returned and self.peak < self.before + _SLIGHT * self.noise


def threshold(alarm_rate: float, *, supported: bool = False) -> float:
    """The sum beyond which an alarm is raised: stationary noise does so at ``alarm_rate`` or less, mostly slightly.

    With the support of a second signal there are two scores to choose from, each of which is given half the rate.
    """
    if supported:
        alarm_rate /= _CHANCES_OF_BOTH
    return log(_RATE_AT_ZERO / alarm_rate) / _RATE_DECAY


def followed(setback: Setback, step: int, value: float, limit: float, support: Support | None = None) -> Setback:
    """The state after one more accepted value; ``limit`` is the `threshold`."""
    _, recent, medians, seen, reference, dependence, total, since, points = setback[:9]
    if reference:
        if total == 0.0:
            since, points = step, 0
        own = score(reference, value, dependence)
        total = total + for_a_rise(own if support is None else max(own, support.with_own(own)))
        total = min(total, HIGHEST * limit) if total > 0.0 else 0.0
        points += 1
    block = (*setback.block, value)
    after = Setback(block, recent, medians, seen, reference, dependence, total, since, points, *setback[9:])
    if total > limit and not setback.alarmed:
        last = (recent + block)[-2 * BLOCK :]
        if is_visible(last, setback.before, setback.noise):
            level = middle_of(last[-BLOCK:])
            after = after._replace(alarmed=True, first=level, level=level, last_step=step, peak=level, peak_step=step)
    return after if len(block) < BLOCK else _with_block(after, step)


def remembered(setback: Setback, value: float) -> Setback:
    """The state after one more value of a signal in which no alarm is raised: only what it is ranked among changes."""
    after = setback._replace(block=(*setback.block, value))
    return after if len(after.block) < BLOCK else _with_block(after, 0)


def score(reference: Sequence[float], value: float, dependence: float) -> float:
    """Normal score of the rank of a value among a reference, the mean over its ties, divided by the dependence."""
    low = bisect_left(reference, value)
    scores = SCORES[len(reference)]
    return 0.5 * (scores[low] + scores[bisect_right(reference, value, low)]) / dependence


def for_a_rise(score: float) -> float:
    """What a score says for a rise by one or two standard deviations."""
    return max(score - 0.5, 2.0 * score - 2.0)


def over(setback: Setback, limit: float) -> bool:
    """Whether a setback that raised the alarm has ended: the values are back, or have found a new level."""
    if not setback.alarmed:
        return False
    return setback.total < _OVER * limit or setback.back >= _BACK_BLOCKS or setback.since_peak >= _SETTLED_BLOCKS


def afterwards(setback: Setback) -> Setback:
    """The state with which to go on after a setback that is over.

    Back where it was, it is measured against the same values as before, without its own where enough others are left.
    At a new level it is measured against the last values as soon as the next block is complete.
    """
    block, recent, medians, seen, reference, dependence = setback[:6]
    if not setback.has_returned:
        return Setback(block, recent, medians, seen)
    others = recent[: -BLOCK * (setback.lasted + 1)] + recent[len(recent) - BLOCK * setback.back :]
    if len(others) > BLOCK * FEWEST_BLOCKS:
        recent = others
    return Setback(block, recent, medians, seen, reference, dependence, before=setback.before, noise=setback.noise)


def is_visible(last: tuple[float, ...], before: float, noise: float) -> bool:
    """Whether the last 8 of the last 16 values are above where they were by more than noise, then and now."""
    moves = middle_of(tuple(map(abs, map(sub, last[1:], last))))
    return middle_of(last[-BLOCK:]) > before + _VISIBLE * max(noise, moves * _MOVE_TO_SD)


def medians_kept(seen: int) -> int:
    """How many medians are kept once there are ``seen`` blocks."""
    return min(max(seen // 2, 4), MEDIANS)


def _with_block(setback: Setback, step: int) -> Setback:
    block = setback.block
    recent = (setback.recent + block)[-BLOCK * (MOST_BLOCKS + 1) :]
    level = middle_of(block)
    seen = setback.seen + 1
    medians = (*setback.medians, level)[-medians_kept(seen) :]
    after = Setback((), recent, medians, seen, *setback[4:])
    if setback.alarmed:
        after = after._replace(
            level=level, since_peak=setback.since_peak + 1, back=setback.back + 1, lasted=setback.lasted + 1
        )
        if not after.has_returned:
            after = after._replace(last_step=step, back=0)
        return after._replace(peak=level, peak_step=step, since_peak=0) if level > setback.peak else after
    if seen <= FEWEST_BLOCKS:
        return after
    reference = tuple(sorted(recent[:-BLOCK]))
    rounding = rounding_of(max(-reference[0], reference[-1]))
    before, noise = level_and_noise(reference, rounding)
    dependence = _dependence(recent, medians, rounding)
    total, since, points = setback[6:9]
    return Setback((), recent, medians, seen, reference, dependence, total, since, points, before, noise, *setback[11:])


def level_and_noise(reference: Sequence[float], rounding: float) -> tuple[float, float]:
    """Median and standard deviation of a ranked reference; that of its upper half, if that is wider."""
    before, noise = middle_and_scale(reference, rounding)
    return before, max(noise, reference[_UPPER_PLACES[len(reference)]] - before)


def _dependence(recent: tuple[float, ...], medians: tuple[float, ...], rounding: float) -> float:
    later = recent[-len(medians) * BLOCK :]  # the descent of the first steps says little about the noise
    _, single = middle_and_scale(sorted(map(sub, later[1:], later)), rounding)
    changes = tuple(map(sub, medians[1:], medians))
    descent, per_value = min(middle_of(changes), 0.0), MEDIAN_WIDTH / single
    widths = [min(abs(change - descent) * per_value, MOST_DEPENDENT) for change in changes]
    squares = accumulate(map(mul, widths, widths))  # in order, which the sum of newer Pythons is not
    return worth_less(deque(squares, 1).pop(), len(widths))


def worth_less(squares: float, n: int) -> float:
    """The dependence, from the sum of ``n`` squared changes of medians in units of what independent values give."""
    return max(1.0, sqrt((PRIOR_BLOCKS + squares) / (PRIOR_BLOCKS + n)))
