"""Time spent in a loader that sleeps, and only that."""

import time

import numpy as np
import pytest
import torch
from lightning.pytorch.profilers import SimpleProfiler

from stabilimeter.callbacks.monitor import StabilityMonitor

SLEEP_S = 0.03


class Sleepy(torch.utils.data.Dataset):
    """Sleeps before some batches."""

    def __init__(self, sleeps):
        self.sleeps = sleeps

    def __len__(self):
        return len(self.sleeps)

    def __getitem__(self, index):
        time.sleep(self.sleeps[index])
        return torch.ones(6), torch.tensor(index % 2)


def fitted(recorded, probe_class, sleeps, *, pause_s=0.0, **kwargs):
    class Slow(probe_class):
        def train_dataloader(self):
            return torch.utils.data.DataLoader(Sleepy(sleeps))

        def training_step(self, batch, batch_idx):
            time.sleep(pause_s)
            return super().training_step(batch, batch_idx)

    return recorded(Slow(), monitor=StabilityMonitor(["default", "data_wait"], flush_every_n_steps=4), **kwargs)


def test_waiting_for_the_loader_is_told_apart_from_computing(recorded, probe_class):
    slow = np.arange(10) % 3 == 0
    run = fitted(recorded, probe_class, np.where(slow, SLEEP_S, 0.0).tolist(), pause_s=SLEEP_S)
    waits = run["time/data_wait_s"]
    assert waits.steps.tolist() == list(range(10))
    assert (waits.values[slow] >= SLEEP_S).all()
    assert np.median(waits.values[~slow]) < SLEEP_S / 3
    assert (waits.values <= run["time/step_s"].values).all()


def test_micro_batches_add_up(recorded, probe_class):
    run = fitted(recorded, probe_class, [SLEEP_S] * 8, accumulate_grad_batches=4)
    assert (run["time/data_wait_s"].values >= 4 * SLEEP_S).all()


def test_the_profiler_of_the_user_still_sees_everything_and_gets_its_methods_back(recorded, probe_class):
    profiler = SimpleProfiler()
    fitted(recorded, probe_class, [0.001] * 5, profiler=profiler)
    fetches = next(times for name, times in profiler.recorded_durations.items() if "train_dataloader_next" in name)
    assert len(fetches) == 5
    assert not {"start", "stop"} & vars(profiler).keys()


def test_an_exception_leaves_the_profiler_as_it_was(make_trainer, probe_class):
    class Broken(probe_class):
        automatic_optimization = False

        def configure_optimizers(self):
            return [torch.optim.SGD(self.parameters(), lr=0.1) for _ in range(2)]

        def training_step(self, batch, batch_idx):
            raise ZeroDivisionError

    profiler = SimpleProfiler()
    trainer = make_trainer(StabilityMonitor(["default", "data_wait"]), profiler=profiler, limit_val_batches=0)
    with pytest.raises(ZeroDivisionError):
        trainer.fit(Broken())
    assert not {"start", "stop"} & vars(profiler).keys()


def test_two_optimizers_leave_the_profiler_as_it_was(make_trainer, probe_class):
    class Two(probe_class):
        automatic_optimization = False
        optimizer_step = torch.nn.Module.forward  # never called: the optimizers below do not step

        def configure_optimizers(self):
            return [torch.optim.SGD(self.parameters(), lr=0.1) for _ in range(2)]

        def training_step(self, batch, batch_idx):
            return None

    profiler = SimpleProfiler()
    make_trainer(StabilityMonitor(["default", "data_wait"]), profiler=profiler, limit_val_batches=0).fit(Two())
    assert not {"start", "stop"} & vars(profiler).keys()
