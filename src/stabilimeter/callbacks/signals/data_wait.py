"""Time that training waits for data."""

import time
from typing import Any

from stabilimeter.callbacks.capture.probe import Site
from stabilimeter.callbacks.capture.signal import Moment, Reduction, Signal
from stabilimeter.callbacks.capture.step_view import StepView
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec

_FETCH = ".train_dataloader_next"
"""How the name ends under which Lightning tells its profiler that it fetches a training batch."""


class DataWait:
    """Listens to what the Trainer tells its profiler, whichever that is; its ``start`` and ``stop`` are wrapped."""

    def __init__(self, site: Site) -> None:
        trainer: Any = site.trainer
        self._profiler = trainer.profiler
        self._waited_s = 0.0
        self._since: float | None = None
        self._own = {name: self._profiler.__dict__.get(name) for name in ("start", "stop")}
        start, stop = self._profiler.start, self._profiler.stop

        def wrapped_start(action_name: str) -> None:
            start(action_name)
            if action_name.endswith(_FETCH):
                self._since = time.perf_counter()

        def wrapped_stop(action_name: str) -> None:
            if self._since is not None and action_name.endswith(_FETCH):
                self._waited_s += time.perf_counter() - self._since
                self._since = None
            stop(action_name)

        self._profiler.start, self._profiler.stop = wrapped_start, wrapped_stop

    def take(self) -> float:
        """Seconds waited since the last call or `pause`."""
        waited, self._waited_s = self._waited_s, 0.0
        return waited

    def prepare(self, *, stride_index: int | None) -> None:
        """Nothing to prepare."""

    def pause(self) -> None:
        """Forget what was waited outside of the steps."""
        self._waited_s = 0.0

    def remove(self) -> None:
        """Give the profiler its own methods back."""
        for name, own in self._own.items():
            if own is None:
                self._profiler.__dict__.pop(name, None)
            else:
                setattr(self._profiler, name, own)
        self._own = {}


def data_wait(view: StepView) -> float:
    """Seconds that the loop was blocked in ``next(dataloader)`` during the step, summed over its micro-batches.

    A part of the step time. Near 0 if workers keep up; otherwise training is as fast as its data. The transfer to the
    device is not included. Rank 0 only. Cost: two calls of the clock per batch, and one more Python call for each
    action that Lightning reports to its profiler (about 10 us per batch).
    """
    return view.probe(DataWait).take()


DATA_WAIT = Signal(
    SignalSpec(keys.TIME_DATA_WAIT_S, unit="s", moment=Moment.STEP_END, reduction=Reduction.RANK_ZERO, positive=True),
    measure=data_wait,
    probe=DataWait,
)
