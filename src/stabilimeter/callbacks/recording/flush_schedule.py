"""When measurements are brought to the host."""

import time
from collections.abc import Callable

EVERY_S = 5.0
MOST_STEPS = 1000
"""A flush is due after so many steps at the latest, which bounds what waits on the device."""
FIXED_STEPS = 50


class FlushSchedule:
    """Every so many steps; or every five seconds, where nothing depends on it.

    A flush takes some milliseconds, however many steps it brings: every 50 steps that would be 5 % of a step that takes
    one millisecond, and every five seconds it is a thousandth of any training. But ranks must flush at the same step,
    and what `EarlyStopping` sees of a signal must not depend on the clock: there it is every 50 steps.

    Args:
        every_n_steps: What the user asked for; None for the above.
        by_clock: Whether the clock may decide.
    """

    clock: Callable[[], float] = staticmethod(time.monotonic)

    def __init__(self, every_n_steps: int | None, *, by_clock: bool) -> None:
        self._by_clock = by_clock and every_n_steps is None
        self._most_steps = every_n_steps or (MOST_STEPS if by_clock else FIXED_STEPS)
        self.flushed()

    def is_due(self, num_waiting: int) -> bool:
        """Whether it is time, with the measurements of so many steps waiting."""
        return num_waiting >= self._most_steps or (self._by_clock and self.clock() >= self._due)

    def flushed(self) -> None:
        """Start to wait for the next one."""
        self._due = self.clock() + EVERY_S
