"""A level worse than anything the series began with.

Where the noise grows with the level, as in a loss that diverges from the start, neither a single value nor the rise of
medians stands out beside the noise of the moment. The beginning does not grow: training is meant to improve on it. So
medians of 16 values are compared with the worst of the first 16 values, in units of what those span. Stationary noise,
however heavy its tail, does not raise a median by 20 times that.
"""

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from stabilimeter.stats.detection.window import FLOAT32_ROUNDING, TINY, middle_of

POINTS = 16
"""Number of values behind each median."""

_SPANS = 20.0
_SPAN_TO_SD = 1 / 3.532
"""Expected range of 16 Gaussian values, in standard deviations: the constant d2 of control charts."""


class Ground(NamedTuple):
    """What is known of the beginning, and how far the series has fallen behind it, in oriented values: high is bad.

    Attributes:
        ceiling: Worst of the first values; infinite before they are complete.
        span: Distance from there to the best of them.
        block: The values that make up the next median.
        block_step: Step of the first of them.
        level: The last median.
        held: The last median below the ceiling.
        left_step: First step of the medians above the ceiling since then; None if there are none.
        onset_step: The same, once ground is lost; None if it is held.
        peak_step: Where the highest level since then began.
        peak: That level.
    """

    ceiling: float = inf
    span: float = 0.0
    block: tuple[float, ...] = ()
    block_step: int = 0
    level: float = -inf
    held: float = inf
    left_step: int | None = None
    onset_step: int | None = None
    peak_step: int = 0
    peak: float = -inf

    @property
    def scale(self) -> float:
        """Standard deviation of the first values."""
        return self.span * _SPAN_TO_SD


def followed(ground: Ground, step: int, value: float) -> Ground:
    """The state after one more value."""
    block_step = ground.block_step if ground.block else step
    block = (*ground.block, value)
    if len(block) < POINTS:
        return Ground(ground.ceiling, ground.span, block, block_step, *ground[4:])
    return _completed(ground, block_step, block)


def passed(ground: Ground, steps: Sequence[int], values: Sequence[float]) -> tuple[int, Ground]:
    """The number of values before ground is won back (all, if none is), and the state after those.

    The same as `followed`, value by value.

    Args:
        ground: The state before.
        steps: Step of each value.
        values: The values.
    """
    at, count = 0, len(values)
    while (end := at + POINTS - len(ground.block)) <= count:
        block_step = ground.block_step if ground.block else steps[at]
        after = _completed(ground, block_step, (*ground.block, *values[at:end]))
        if over(after):
            count = end - 1
            break
        ground, at = after, end
    if at < count:
        block_step = ground.block_step if ground.block else steps[at]
        ground = Ground(ground.ceiling, ground.span, (*ground.block, *values[at:count]), block_step, *ground[4:])
    return count, ground


def _completed(ground: Ground, block_step: int, block: tuple[float, ...]) -> Ground:
    level = middle_of(block)
    after = ground._replace(block=(), block_step=block_step, level=level)
    if ground.ceiling == inf:
        rounding = max(FLOAT32_ROUNDING * max(map(abs, block)), TINY)
        return after._replace(ceiling=max(block), span=max(max(block) - min(block), rounding), held=level)
    if level <= ground.ceiling:
        return after if ground.onset_step is not None else after._replace(held=level, left_step=None)
    left_step = block_step if ground.left_step is None else ground.left_step
    if ground.onset_step is None and level > ground.ceiling + _SPANS * ground.span:
        return after._replace(left_step=left_step, onset_step=left_step, peak_step=block_step, peak=level)
    if ground.onset_step is not None and level > ground.peak:
        return after._replace(peak_step=block_step, peak=level)
    return after._replace(left_step=left_step)


def over(ground: Ground) -> bool:
    """Whether ground that was lost has been won back."""
    return ground.onset_step is not None and ground.level <= ground.ceiling
