"""Worsening that no single value shows, watched in three ways at once.

`setback.py` finds a turn for the worse within some ten values, `drift.py` a rise too slow for that, and
`lost_ground.py` a level far worse than anything at the beginning. One incident at a time: while a setback lasts,
the others wait, and whatever ends lets all three begin anew.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.detection import drift, lost_ground, setback, setback_stretch
from stabilimeter.stats.detection.companion import Companion
from stabilimeter.stats.detection.drift import Drift
from stabilimeter.stats.detection.episode import Rule, turned, worse_than_start, worsening
from stabilimeter.stats.detection.lost_ground import Ground
from stabilimeter.stats.detection.setback import Setback, Support
from stabilimeter.stats.detection.window import Window
from stabilimeter.stats.incident import Incident


class Slow(NamedTuple):
    """What is known of slow worsening.

    Attributes:
        drift: Slow change of the accepted values.
        ground: The accepted values beside those at the beginning.
        setback: The accepted values beside those just before.
    """

    drift: Drift = Drift()
    ground: Ground = Ground()
    setback: Setback = Setback()


def followed(
    rule: Rule, slow: Slow, step: int, value: float, scale: float, window: Window, support: Support | None = None
) -> tuple[Slow, Incident | None]:
    """The state after one more accepted value, and the incident that is over with it, if any.

    Args:
        rule: The rule.
        slow: The state before.
        step: Step of the value.
        value: The value as judged.
        scale: Noise of single values there.
        window: The accepted values, this one included.
        support: What a second signal says of the step.
    """
    limit = setback.threshold(rule.alarm_rate, supported=support is not None)
    back = setback.followed(slow.setback, step, value, limit, support)
    if setback.over(back, limit):
        after = Slow(setback=setback.afterwards(back))
        return after, None if back.was_slight else turned(rule, back, window)
    if back.alarmed:
        return slow._replace(setback=back), None
    rising = drift.followed(slow.drift, step, value)
    ground = lost_ground.followed(slow.ground, step, value)
    alarm = None if rising.block else drift.alarm(rising, scale)
    if alarm is not None and drift.over(alarm):
        return Slow(), worsening(rule, alarm, scale)
    if lost_ground.over(ground):
        return Slow(), worse_than_start(rule, ground)
    return Slow(rising, ground, back), None


def passed(
    rule: Rule,
    slow: Slow,
    known: Companion | None,
    steps: Sequence[int],
    values: Sequence[float],
    scales: NDArray[np.float64],
    beside: Sequence[float | None] | None,
) -> tuple[int, Slow, Companion | None]:
    """The number of values before a setback begins or anything is over (all, if nothing is), and the state after those.

    The same as `followed`, value by value.

    Args:
        rule: The rule.
        slow: The state before.
        known: What is known of a second signal.
        steps: Step of each value.
        values: Accepted values as judged.
        scales: Noise of single values at each.
        beside: The second signal at each, in its own unit, None where there is none.
    """
    pair = slow.setback, known
    count, (back, companion) = setback_stretch.passed(pair, steps, values, rule.alarm_rate, beside)
    if slow.setback.alarmed:
        return count, slow._replace(setback=back), companion
    fewer, rising = drift.passed(slow.drift, steps[:count], values[:count], scales)
    fewer, ground = lost_ground.passed(slow.ground, steps[:fewer], values[:fewer])
    if fewer < count:
        _, rising = drift.passed(slow.drift, steps[:fewer], values[:fewer], scales)
        before = None if beside is None else beside[:fewer]
        _, (back, companion) = setback_stretch.passed(pair, steps[:fewer], values[:fewer], rule.alarm_rate, before)
    return fewer, Slow(rising, ground, back), companion


def going_on(rule: Rule, slow: Slow, scale: float, window: Window) -> Incident | None:
    """The incident that is not over, as it looks now."""
    if slow.setback.alarmed:
        return turned(rule, slow.setback, window)
    rising = drift.alarm(slow.drift, scale)
    return worse_than_start(rule, slow.ground) if rising is None else worsening(rule, rising, scale)


def interrupted(slow: Slow) -> Slow:
    """The state after a value that is not finite, with nothing going on."""
    back = Setback() if slow.setback.alarmed else slow.setback
    return Slow(ground=slow.ground._replace(block=(), onset_step=None), setback=back)
