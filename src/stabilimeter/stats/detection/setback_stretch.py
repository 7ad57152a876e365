"""Many values at once, looked at for a loss that turns round.

The scores of a stretch follow from its values (`scored_stretch.py`, `companion_stretch.py`), and only the cumulative
sum goes value by value. Every number comes from the same operations in the same order as in `setback.followed`: the
state is the same to the last bit.
"""

from collections.abc import Sequence
from itertools import repeat

import numpy as np

from stabilimeter.stats.detection import companion
from stabilimeter.stats.detection.companion import Companion
from stabilimeter.stats.detection.companion_stretch import accompanied
from stabilimeter.stats.detection.scored_stretch import scored
from stabilimeter.stats.detection.setback import HIGHEST, Setback, followed, is_visible, over, threshold

Pair = tuple[Setback, Companion | None]
"""What is known of a series, and of a second signal if there ever was one."""


def passed(
    pair: Pair,
    steps: Sequence[int],
    values: Sequence[float],
    alarm_rate: float,
    beside: Sequence[float | None] | None = None,
) -> tuple[int, Pair]:
    """The number of values before an alarm is raised or over (all, if none is), and the state after those.

    Args:
        pair: The state before.
        steps: Step of each value, shape ``(n,)``.
        values: Accepted, finite values, shape ``(n,)``, as Python floats.
        alarm_rate: That of `setback.threshold`.
        beside: The second signal at each, in its own unit, shape ``(n,)``; None where there is none.
    """
    if pair[0].alarmed:
        return _one_by_one(pair, steps, values, alarm_rate, beside)
    with np.errstate(over="ignore", invalid="ignore"):
        return _together(pair, steps, values, alarm_rate, beside)


def _one_by_one(
    pair: Pair, steps: Sequence[int], values: Sequence[float], alarm_rate: float, beside: Sequence[float | None] | None
) -> tuple[int, Pair]:
    for at, value in enumerate(values):
        setback, known = pair
        known, support = companion.followed(known, None if beside is None else beside[at], setback, value)
        limit = threshold(alarm_rate, supported=support is not None)
        setback = followed(setback, steps[at], value, limit, support)
        if over(setback, limit):
            return at, pair
        pair = setback, known
    return len(values), pair


def _together(
    pair: Pair, steps: Sequence[int], values: Sequence[float], alarm_rate: float, beside: Sequence[float | None] | None
) -> tuple[int, Pair]:
    setback, known = pair
    other = None if beside is None else accompanied(setback, values, known, beside)
    own = scored((setback, values))[0] if other is None else other.series
    scores = own.scores if other is None else other.scores
    alone, supported = threshold(alarm_rate), threshold(alarm_rate, supported=True)
    limits = repeat(alone) if other is None else np.where(other.supported, supported, alone).tolist()
    rises = np.maximum(scores - 0.5, 2.0 * scores - 2.0).tolist()  # `setback.for_a_rise`
    total, began, count = setback.total, -1, len(values)
    for at, (rise, limit) in enumerate(zip(rises, limits, strict=False), own.unranked):
        more = total + rise
        if more > limit:
            more = min(more, HIGHEST * limit)
            if is_visible(own.last(at), *own.level_and_noise(at)):
                count = at
                break
        if total == 0.0:
            began = at
        total = more if more > 0.0 else 0.0
    after = own.after(count)._replace(total=total)
    if began >= 0:
        after = after._replace(since=steps[began], points=count - began)
    else:
        after = after._replace(points=setback.points + max(count - own.unranked, 0))
    return count, (after, known if other is None else other.after(count))
