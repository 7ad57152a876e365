"""The loss scale as the scaler itself tells it, and overflows where they were made."""

import numpy as np
import pytest
import torch
from lightning.pytorch.plugins.precision import MixedPrecision

from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.callbacks.signals.overflow_count import overflow_count

OVERFLOWS_AT = (3, 4, 9)


def monitor():
    return StabilityMonitor(["default", "loss_scale"], flush_every_n_steps=5)


def fp16():
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)
    return MixedPrecision("16-mixed", "cpu", scaler=scaler)


@pytest.fixture
def overflowing(probe_class):
    class Overflowing(probe_class):
        """Its loss overflows at some steps, backward."""

        def __init__(self, *args):
            super().__init__(*args)
            self.scales = []

        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            self.scales.append(self.trainer.precision_plugin.scaler.get_scale())
            return loss + self.net[0].weight.sum() * (float("inf") if batch_idx in OVERFLOWS_AT else 0.0)

    return Overflowing


@pytest.mark.filterwarnings("ignore:.*is not finite from step")
def test_scale_and_overflows(recorded, overflowing):
    module = overflowing()
    run = recorded(module, monitor=monitor(), plugins=fp16())
    steps = np.arange(12)
    np.testing.assert_array_equal(run["scaler/scale"].steps, steps)
    np.testing.assert_array_equal(run["scaler/scale"].values[1:], module.scales[1:])
    assert run["scaler/scale"].values[:6].tolist() == [1024, 1024, 1024, 2048, 1024, 512]  # by hand: grows after 3
    np.testing.assert_array_equal(run["scaler/overflow"].values, np.isin(steps, OVERFLOWS_AT))
    np.testing.assert_array_equal(run["scaler/overflow_count"].values, np.isin(steps, OVERFLOWS_AT).cumsum())


def test_a_large_norm_is_no_overflow(recorded, probe_class):
    class Large(probe_class):
        """The sum of squares overflows float32, the elements do not."""

        def on_before_optimizer_step(self, optimizer):
            super().on_before_optimizer_step(optimizer)
            for p in self.parameters():
                p.grad.fill_(1e25)

    module = Large(lambda p: torch.optim.SGD(p, lr=0.0))
    with pytest.warns(UserWarning, match="not finite"):
        run = recorded(module, monitor=monitor(), plugins=fp16(), gradient_clip_val=1.0)  # clipping comes after hooks
    assert not np.isfinite(run["grad/norm"].values).any()
    np.testing.assert_array_equal(run["scaler/overflow"].values, 0.0)


def test_each_optimizer_has_its_own_overflows(recorded, probe_class):
    class Two(probe_class):
        automatic_optimization = False

        def configure_optimizers(self):
            return [torch.optim.SGD(part.parameters(), lr=0.01) for part in (self.net[0], self.net[2])]

        def optimizer_step(self, *args, **kwargs):
            raise NotImplementedError

        def training_step(self, batch, batch_idx):
            for index, optimizer in enumerate(self.optimizers()):
                part = self.net[2 * index]
                loss = (part.weight**2).sum() * (float("inf") if (index, batch_idx) == (1, 6) else 1.0)
                optimizer.zero_grad()
                self.manual_backward(loss)
                optimizer.step()

    Two.on_before_optimizer_step = lambda self, optimizer: None
    with pytest.warns(UserWarning, match="not finite"):
        run = recorded(Two(), monitor=monitor(), plugins=fp16())
    assert run["scaler/overflow/optimizer_0"].values.sum() == 0
    assert np.flatnonzero(run["scaler/overflow/optimizer_1"].values).tolist() == [6]


def test_without_a_scaler_there_is_nothing_to_tell(recorded, probe_class):
    run = recorded(probe_class(), monitor=monitor())
    assert not [key for key in run.keys() if key.startswith("scaler/")]  # noqa: SIM118 (a run is no mapping)


def test_only_the_last_thousand_steps_count():
    windows = np.lib.stride_tricks.sliding_window_view(np.concatenate([np.full(999, np.nan), np.ones(1500)]), 1000)
    np.testing.assert_array_equal(overflow_count(windows), np.minimum(np.arange(1, 1501), 1000))
