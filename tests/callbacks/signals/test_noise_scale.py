"""Gradient noise scale against gradients taken one micro-batch at a time, and against a known noise."""

import numpy as np
import pytest
import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import nn

from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.callbacks.signals.noise_scale import noise_scale


def monitor(stride=1):
    return StabilityMonitor(["default", "noise_scale"], strided_every_n_steps=stride)


@pytest.fixture
def one_by_one(probe_class):
    class OneByOne(probe_class):
        """Takes the gradient of each micro-batch on its own, by autograd."""

        def __init__(self):
            super().__init__()
            self.gradients_of_step = []
            self.expected = []

        def training_step(self, batch, batch_idx):
            x, y = batch
            loss = nn.functional.cross_entropy(self.net(x), y)
            twin = torch.autograd.grad(loss, list(self.parameters()), retain_graph=True)
            self.gradients_of_step.append(torch.cat([g.flatten().double() for g in twin]))
            return loss

        def optimizer_step(self, *args, **kwargs):
            super().optimizer_step(*args, **kwargs)
            stacked = torch.stack(self.gradients_of_step)
            self.gradients_of_step = []
            if len(stacked) > 1:  # sample covariance: another road to the same two estimates
                trace = stacked.var(dim=0, unbiased=True).sum().item()
                square = stacked.mean(dim=0).square().sum().item() - trace / len(stacked)
                self.expected.append((square, trace))

    return OneByOne


@pytest.mark.filterwarnings("ignore:.*lr_scheduler")
@pytest.mark.parametrize("plugin", ["float32", "fp16 scaler"])
@pytest.mark.parametrize(("parts", "clip"), [(2, None), (4, 0.01), (5, None)])
def test_estimates_equal_the_sample_covariance_of_the_micro_batches(recorded, one_by_one, parts, clip, plugin):
    extra = {}
    if plugin == "fp16 scaler":
        scaler = torch.amp.GradScaler("cpu", init_scale=64.0, growth_interval=2)
        extra["plugins"] = MixedPrecision("16-mixed", "cpu", scaler=scaler)
    module = one_by_one()
    run = recorded(
        module, monitor=monitor(), accumulate_grad_batches=parts, gradient_clip_val=clip, max_epochs=3, **extra
    )
    expected = np.array(module.expected)
    assert len(expected) == 3 * -(-12 // parts)  # with 5 the last step of an epoch has only 2
    rtol = 1e-4 if plugin == "float32" else 0.1
    np.testing.assert_allclose(run["noise/gradient_square"].values, expected[:, 0], rtol=rtol, atol=rtol / 100)
    np.testing.assert_allclose(run["noise/trace"].values, expected[:, 1], rtol=rtol)
    ratio = run["noise/scale"]
    assert ratio.steps.tolist() == list(range(7, len(expected)))
    sums = expected.cumsum(axis=0)[7:]
    np.testing.assert_allclose(ratio.values, sums[:, 1] / sums[:, 0], rtol=10 * rtol)


def test_only_at_the_stride(recorded, one_by_one):
    module = one_by_one()
    run = recorded(module, monitor=monitor(stride=2), accumulate_grad_batches=3, max_epochs=2)
    assert run["noise/trace"].steps.tolist() == [0, 2, 4, 6]
    np.testing.assert_allclose(run["noise/trace"].values, np.array(module.expected)[::2, 1], rtol=1e-4)


def test_one_batch_per_step_says_nothing_about_noise(recorded, one_by_one):
    run = recorded(one_by_one(), monitor=monitor())
    assert "noise/trace" not in run
    assert "noise/scale" not in run


def test_known_noise(recorded, probe_class):
    """Gradient w - x with x ~ N(0, 0.5^2) in 400 dimensions: trace 400 / 4 / batch size, signal |w|^2 = 25."""

    class Quadratic(probe_class):
        def __init__(self):
            super().__init__(lambda p: torch.optim.SGD(p, lr=0.0))
            self.net = nn.Identity()
            self.w = nn.Parameter(torch.full((400,), 0.25))

        def train_dataloader(self):
            x = 0.5 * torch.randn(4000, 400, generator=torch.Generator().manual_seed(0))
            return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x), batch_size=4)

        def training_step(self, batch, batch_idx):
            return 0.5 * (self.w - batch[0]).square().sum(dim=1).mean()

    run = recorded(Quadratic(), monitor=monitor(), accumulate_grad_batches=5)
    assert len(run["noise/trace"].values) == 200
    assert run["noise/trace"].values.mean() == pytest.approx(25.0, rel=0.02)
    assert run["noise/gradient_square"].values.mean() == pytest.approx(25.0, rel=0.02)
    assert run["noise/scale"].values[-1] == pytest.approx(1.0, rel=0.03)


def test_no_ratio_where_the_signal_is_not_positive_or_the_last_value_is_missing():
    squares = np.full((3, 10), 2.0)
    traces = np.full((3, 10), 8.0)
    squares[1] = -1.0
    traces[2, -1] = np.nan
    np.testing.assert_array_equal(noise_scale(squares, traces), [4.0, np.nan, np.nan])
