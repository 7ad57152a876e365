"""Jumps of the learning rate: a loss that rises right after one was meant to, or at least not struck by chance."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

FACTOR = 1.5
"""The rate grows by this factor or more from one value to the next."""

REACH = 10
"""An incident belongs to a jump if it begins at most so many values after it, or half as many before: where a slow
worsening began is an estimate."""


RATE_JUMP = "learning_rate_jump"
"""Name of a jump in the evidence of an incident."""


class RateJump(NamedTuple):
    """One jump.

    Attributes:
        step: First step at the new rate.
        before: The rate until then.
        after: The new rate.
    """

    step: int
    before: float
    after: float


def rate_jumps(steps: Iterable[int], rates: Iterable[float], previous: float | None = None) -> list[RateJump]:
    """Every jump in a series of learning rates.

    Args:
        steps: Step of each rate, shape (n,).
        rates: The rates, shape (n,).
        previous: The rate before them; None if there was none.

    >>> rate_jumps(range(6), [0.1, 0.1, 0.05, 0.4, 0.5, 0.5])
    [RateJump(step=3, before=0.05, after=0.4)]
    """
    found = []
    for step, rate in zip(steps, rates, strict=True):
        if previous is not None and rate > 0.0 and rate >= FACTOR * previous:
            found.append(RateJump(step, previous, rate))
        previous = rate
    return found


def jump_behind(jumps: Sequence[RateJump], onset: int, interval: float = 1.0) -> RateJump | None:
    """The last jump that an incident beginning at step ``onset`` belongs to, if any.

    Args:
        jumps: In order of their steps.
        onset: First step of the incident.
        interval: Steps between two values of the series that has the incident.
    """
    near = [j for j in jumps if -REACH / 2 * interval <= onset - j.step <= REACH * interval]
    return near[-1] if near else None
