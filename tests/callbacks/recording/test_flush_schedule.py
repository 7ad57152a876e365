from itertools import pairwise

import pytest

from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.callbacks.recording.flush_schedule import FlushSchedule


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(FlushSchedule, "clock", clock)
    return clock


@pytest.mark.parametrize(("asked", "by_clock", "most"), [(7, True, 7), (7, False, 7), (None, False, 50)])
def test_a_number_of_steps_knows_no_clock(clock, asked, by_clock, most):
    schedule = FlushSchedule(asked, by_clock=by_clock)
    clock.now += 3600
    assert [schedule.is_due(n) for n in (0, most - 1, most)] == [False, False, True]


def test_every_five_seconds_and_at_most_a_thousand_steps(clock):
    schedule = FlushSchedule(None, by_clock=True)
    assert [schedule.is_due(n) for n in (1, 999, 1000)] == [False, False, True]
    clock.now += 4.9
    assert not schedule.is_due(1)
    clock.now += 0.2
    assert schedule.is_due(1)
    schedule.flushed()
    assert not schedule.is_due(1)


@pytest.mark.parametrize("seconds_per_step", [0.0, 6.0])
def test_a_slow_run_is_on_disk_after_every_step(make_trainer, probe_class, tmp_path, clock, seconds_per_step):
    sizes = []

    class Slow(probe_class):
        def training_step(self, batch, batch_idx):
            clock.now += seconds_per_step
            sizes.append(sum(file.stat().st_size for file in tmp_path.rglob("events.out.tfevents.*")))
            return super().training_step(batch, batch_idx)

    make_trainer(StabilityMonitor(dirpath=tmp_path), limit_val_batches=0).fit(Slow())
    grown = [later > earlier for earlier, later in pairwise(sizes)]
    assert all(grown) if seconds_per_step else not any(grown)
