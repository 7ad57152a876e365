"""The monitor's account of itself, against a clock of the test's own."""

import time

import numpy as np
import pytest

from stabilimeter.callbacks.capture.own_cost import OwnCost, charged, not_charged
from stabilimeter.callbacks.capture.signal import Moment, Reduction, Signal
from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.records.manifest import SignalSpec
from stabilimeter.records.run import read_run

SLEEP_S = 0.02


class Worker:
    def __init__(self):
        self.cost = OwnCost()

    @charged
    def work(self, user_s: float) -> str:
        time.sleep(SLEEP_S)
        not_charged(self.cost, lambda: time.sleep(user_s))()
        return "done"

    @charged
    def fail(self) -> None:
        time.sleep(SLEEP_S)
        raise ZeroDivisionError


def test_time_in_hooks_counts_and_the_users_does_not():
    worker = Worker()
    assert worker.work(5 * SLEEP_S) == "done"
    assert SLEEP_S <= worker.cost.seconds < 3 * SLEEP_S
    with pytest.raises(ZeroDivisionError):
        worker.fail()
    assert worker.cost.seconds >= 2 * SLEEP_S
    assert worker.cost.lap() == worker.cost.seconds
    assert worker.cost.lap() == 0.0
    assert 0.2 < worker.cost.summary(0).share < 0.5  # of 2 + 5 naps


def slow_signal(seconds: float) -> Signal:
    def measure(view) -> float:
        time.sleep(seconds)
        return 1.0

    spec = SignalSpec("slow", unit="", moment=Moment.GRADIENT, reduction=Reduction.RANK_ZERO, positive=True)
    return Signal(spec, measure=measure)


def fitted(make_trainer, probe_class, folder, *signals):
    make_trainer(StabilityMonitor(["default", *signals], dirpath=folder), limit_val_batches=0).fit(probe_class())
    return read_run(folder)


def test_a_slow_signal_shows_at_every_step_and_in_the_end_mark(make_trainer, probe_class, tmp_path):
    run = fitted(make_trainer, probe_class, tmp_path / "slow", slow_signal(SLEEP_S))
    own = run["time/monitor_s"]
    assert len(own.steps) == len(run["train/loss"].steps)
    assert (own.values >= SLEEP_S * 0.99).all()
    cost = run.manifest.monitor_cost
    assert cost.seconds >= len(own.steps) * SLEEP_S
    assert cost.share > 0.3
    assert cost.seconds >= own.values.sum()  # the last flush is not in the signal
    quick = fitted(make_trainer, probe_class, tmp_path / "quick")
    assert np.median(quick["time/monitor_s"].values) < SLEEP_S / 4
    assert quick.manifest.monitor_cost.seconds < cost.seconds / 2


def test_reads_and_bytes_are_counted(make_trainer, probe_class, tmp_path):
    run = fitted(make_trainer, probe_class, tmp_path)
    cost = run.manifest.monitor_cost
    assert cost.host_reads == 1  # fewer steps than between two flushes
    (events,) = (tmp_path / "stability").glob("events*")
    assert 0 < events.stat().st_size - cost.bytes_written < 100  # the header of the file
