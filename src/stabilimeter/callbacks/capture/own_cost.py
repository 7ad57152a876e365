"""What monitoring itself takes: time in its hooks, copies from the device, bytes on disk."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from stabilimeter.records.manifest import MonitorCost

P = ParamSpec("P")
T = TypeVar("T")


class OwnCost:
    """A stopwatch that runs while a hook of the monitor does, and two counters.

    It does not see what Lightning does around a hook (some 12 us each), nor work that a hook leaves to the device:
    kernels that a GPU runs later.

    Attributes:
        seconds: Time in hooks that are over.
        host_reads: Number of times a value was read back from the device.
        clock: What seconds are counted by: wall time; benchmarks on a busy machine take the CPU time of the thread.
    """

    clock: Callable[[], float] = staticmethod(time.perf_counter)

    def __init__(self) -> None:
        self.seconds = 0.0
        self.host_reads = 0
        self._began = self.clock()
        self._at_last_lap = 0.0

    def lap(self) -> float:
        """Seconds since the last call."""
        taken = self.seconds - self._at_last_lap
        self._at_last_lap = self.seconds
        return taken

    def summary(self, bytes_written: int) -> MonitorCost:
        """The whole of it, for the manifest."""
        elapsed = self.clock() - self._began
        return MonitorCost(self.seconds, self.seconds / max(elapsed, 1e-9), self.host_reads, bytes_written)


class HasCost(Protocol):
    """Something whose work is charged to an `OwnCost`."""

    cost: OwnCost


S = TypeVar("S", bound=HasCost)


def charged(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """A method whose time is charged to ``self.cost``. Charged methods must not call each other."""

    @wraps(method)
    def timed(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        began = self.cost.clock()
        try:
            return method(self, *args, **kwargs)
        finally:
            self.cost.seconds += self.cost.clock() - began

    return timed


def not_charged(cost: OwnCost, work: Callable[[], Any]) -> Callable[[], None]:
    """Work of somebody else's that a charged method calls."""

    def untimed() -> None:
        began = cost.clock()
        try:
            work()
        finally:
            cost.seconds -= cost.clock() - began

    return untimed
