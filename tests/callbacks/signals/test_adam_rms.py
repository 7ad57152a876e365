"""RMS of the gradients over Adam's second moment, against moments kept by hand in double precision."""

import math

import numpy as np
import pytest
import torch
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import nn

from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.callbacks.signals import adam_rms


def monitor():
    return StabilityMonitor(["default", "adam_rms"], strided_every_n_steps=1)


@pytest.fixture
def by_hand(probe_class):
    class ByHand(probe_class):
        """Keeps v itself: v <- beta2 v + (1 - beta2) g^2, from the gradient that the optimizer gets."""

        def __init__(self, beta2, eps=1e-8, optimizer=torch.optim.AdamW, **kwargs):
            super().__init__(lambda p: optimizer(p, lr=0.01, betas=(0.9, beta2), eps=eps, **kwargs))
            self.beta2, self.eps, self.t = beta2, eps, 0
            self.v = [torch.zeros_like(p, dtype=torch.float64) for p in self.parameters()]
            self.rms = []

        def optimizer_step(self, *args, **kwargs):
            super().optimizer_step(*args, **kwargs)
            self.t += 1
            row = []
            for i, p in enumerate(self.net.parameters()):
                g = p.grad.double()
                self.v[i] = self.beta2 * self.v[i] + (1 - self.beta2) * g * g
                corrected = self.v[i] / (1 - self.beta2**self.t)
                row.append(math.sqrt((g * g / corrected.clamp(min=self.eps**2)).mean().item()))
            self.rms.append(row)

    return ByHand


def check(run, module, rtol=2e-5):
    assert len(module.rms) == 12
    at, vectors, names = run.vectors("optim/layer_rms")
    np.testing.assert_array_equal(at, np.arange(12))
    np.testing.assert_allclose(vectors, module.rms, rtol=rtol)
    assert names == tuple(name for name, _ in module.named_parameters())
    np.testing.assert_allclose(run["optim/rms_max"].values, np.max(module.rms, axis=1), rtol=rtol)


@pytest.mark.parametrize("chunk", [2**22, 10])
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW])
@pytest.mark.parametrize(("beta2", "eps"), [(0.999, 1e-8), (0.5, 1e-8), (0.9, 0.05)])
def test_rms_equals_that_of_moments_kept_by_hand(recorded, by_hand, monkeypatch, beta2, eps, optimizer, chunk):
    monkeypatch.setattr(adam_rms, "_CHUNK", chunk)
    module = by_hand(beta2, eps, optimizer)
    run = recorded(module, monitor=monitor(), gradient_clip_val=0.05)
    check(run, module)
    np.testing.assert_allclose(run["optim/rms_max"].values[0], 1.0 if eps < 1e-6 else max(module.rms[0]), rtol=1e-4)


def test_capturable_and_fused_adam(recorded, by_hand):
    module = by_hand(0.9, fused=True)
    check(recorded(module, monitor=monitor()), module)


def test_stale_moments_show_at_a_sudden_gradient(recorded, by_hand):
    class Sudden(by_hand):
        def on_before_optimizer_step(self, optimizer):
            for p in self.parameters():
                p.grad.fill_(100.0 if self.t == 10 else 1.0)
            super().on_before_optimizer_step(optimizer)

    beta2 = 0.999
    run = recorded(Sudden(beta2), monitor=monitor())
    t = 11
    v = ((1 - beta2) * 100.0**2 + beta2 * (1 - beta2 ** (t - 1))) / (1 - beta2**t)  # ten times 1, then 100
    np.testing.assert_allclose(run["optim/rms_max"].values[10], 100 / math.sqrt(v), rtol=1e-4)
    np.testing.assert_allclose(run["optim/rms_max"].values[:10], 1.0, rtol=1e-4)


def test_parameters_without_gradient_do_not_count(recorded, by_hand):
    module = by_hand(0.9)
    module.unused = nn.Linear(3, 3)
    run = recorded(module, monitor=monitor())
    vectors = run.vectors("optim/layer_rms")[1]
    assert vectors.shape == (12, 6)
    assert (vectors[:, 4:] == 0).all()
    np.testing.assert_allclose(vectors[:, :4], np.array([row[:4] for row in module.rms]), rtol=2e-5)


def test_a_step_that_the_scaler_leaves_out_is_not_measured(recorded, probe_class):
    class Overflowing(probe_class):
        def training_step(self, batch, batch_idx):
            return super().training_step(batch, batch_idx) * (float("inf") if batch_idx == 5 else 1.0)

    scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    module = Overflowing(lambda p: torch.optim.AdamW(p, lr=0.01))
    with pytest.warns(UserWarning, match="not finite"):
        run = recorded(module, monitor=monitor(), plugins=MixedPrecision("16-mixed", "cpu", scaler=scaler))
    assert run["optim/rms_max"].steps.tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    assert np.isfinite(run["optim/rms_max"].values).all()


def test_other_optimizers_have_none(recorded, probe_class):
    run = recorded(probe_class(), monitor=monitor())
    assert "optim/rms_max" not in run
    assert "grad/norm" in run
