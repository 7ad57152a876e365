"""A monitored run is the unmonitored run: same weights, same optimizer state, same random numbers."""

# ruff: noqa: NPY002 (the global state of NumPy is what is under test)

import random

import numpy as np
import pytest
import torch
from torch import nn

from stabilimeter.callbacks.catalogue import CATALOGUE
from stabilimeter.callbacks.monitor import StabilityMonitor


def states_after(make_trainer, probe_class, monitored, optimizer, signals=None, **kwargs):
    class Dropped(probe_class):
        def training_step(self, batch, batch_idx):
            x, y = batch
            noisy = nn.functional.dropout(x, 0.3) + 0.01 * float(np.random.rand()) + 0.01 * random.random()
            return super().training_step((noisy, y), batch_idx)

    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    module = Dropped(optimizer)
    module.net = nn.Sequential(nn.Linear(6, 300), nn.Tanh(), nn.Linear(300, 2))
    trainer = make_trainer(
        *([StabilityMonitor(signals, flush_every_n_steps=5, strided_every_n_steps=2)] if monitored else []),
        max_epochs=2,
        **kwargs,
    )
    trainer.fit(module)
    weights = [p.detach().clone() for p in module.parameters()]
    moments = [v for state in trainer.optimizers[0].state.values() for v in state.values() if torch.is_tensor(v)]
    randoms = (torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate())
    return weights + moments, randoms


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"gradient_clip_val": 0.05},
        {"gradient_clip_val": 0.01, "gradient_clip_algorithm": "value"},
        {"accumulate_grad_batches": 3},
        {"precision": "bf16-mixed", "gradient_clip_val": 0.05},
        {"signals": tuple(CATALOGUE)},
        {"signals": tuple(CATALOGUE), "accumulate_grad_batches": 3, "gradient_clip_val": 0.05},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:When using .Trainer.accumulate_grad_batches")
def test_monitored_and_unmonitored_runs_are_bit_identical(make_trainer, probe_class, kwargs):
    def adam(p):
        return torch.optim.AdamW(p, lr=0.01, weight_decay=0.1)

    bare, bare_randoms = states_after(make_trainer, probe_class, False, adam, **kwargs)
    monitored, monitored_randoms = states_after(make_trainer, probe_class, True, adam, **kwargs)
    assert len(bare) == len(monitored) > 4
    assert all(torch.equal(a, b) for a, b in zip(bare, monitored, strict=True))
    assert torch.equal(bare_randoms[0], monitored_randoms[0])
    assert bare_randoms[1:] == monitored_randoms[1:]


def test_trainer_and_optimizer_are_left_as_they_were(make_trainer, probe_class):
    trainer = make_trainer(StabilityMonitor(), limit_val_batches=0, gradient_clip_val=0.1)
    before = set(vars(trainer.precision_plugin))
    trainer.fit(probe_class())
    assert set(vars(trainer.precision_plugin)) == before
    assert not trainer.optimizers[0]._optimizer_step_post_hooks
