"""Variance of the loss within a step; that over ranks is tested with real ranks, in `test_ranks.py`."""

import warnings

import numpy as np
import pytest
import torch

from stabilimeter.callbacks.capture.buffer import Buffer
from stabilimeter.callbacks.capture.signal import Reduction
from stabilimeter.callbacks.monitor import StabilityMonitor

KEY = "train/loss_var_micro_batches"


def monitor():
    return StabilityMonitor(["default", "loss_spread"])


@pytest.mark.parametrize("parts", [2, 5])
def test_variance_of_the_micro_batches_of_each_step(recorded, probe_class, parts):
    module = probe_class()
    run = recorded(module, monitor=monitor(), accumulate_grad_batches=parts, max_epochs=2)
    losses = [step for step in module.batches_of_step if step]
    assert [len(step) for step in losses[:3]] == ([2, 2, 2] if parts == 2 else [5, 5, 2])
    assert run[KEY].steps.tolist() == list(range(len(losses)))
    np.testing.assert_allclose(run[KEY].values, [np.var(step, ddof=1) for step in losses], rtol=1e-4)
    np.testing.assert_allclose(run["train/loss"].values, [np.mean(step) for step in losses], rtol=1e-6)


def test_a_step_of_one_micro_batch_has_none(recorded, probe_class):
    module = probe_class()
    run = recorded(module, monitor=monitor(), accumulate_grad_batches=11)
    assert run[KEY].steps.tolist() == [0]  # the second step of the epoch is its twelfth batch alone
    np.testing.assert_allclose(run[KEY].values, np.var(module.batches_of_step[0], ddof=1), rtol=1e-4)
    assert KEY not in recorded(probe_class(), monitor=monitor())
    assert "train/loss_var_ranks" not in run


def test_dicts_and_missing_losses(recorded, probe_class):
    class Sometimes(probe_class):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            if batch_idx == 1:
                self.batches_of_step[-1].pop()
                return None
            return {"loss": loss}

    module = Sometimes()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`training_step` returned `None`")  # Lightning says it once per process
        run = recorded(module, monitor=monitor(), accumulate_grad_batches=4)
    losses = module.batches_of_step[:3]
    assert [len(step) for step in losses] == [3, 4, 4]
    np.testing.assert_allclose(run[KEY].values, [np.var(step, ddof=1) for step in losses], rtol=1e-4)


def test_the_module_gets_its_own_method_back(make_trainer, probe_class):
    module = probe_class()
    make_trainer(monitor(), limit_val_batches=0).fit(module)
    assert "training_step" not in vars(module)


def test_small_spread_of_large_losses_over_ranks(monkeypatch):
    """Four ranks whose losses agree in four digits: nothing is lost in the difference of squares."""
    losses = np.float32([[1000.0, 1000.25, 999.5, 1000.5], [7.0, 7.0, 7.0, 7.0]])
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda total: total.copy_(pooled(total)))
    rows = []

    def pooled(mine):
        rows.append(mine.clone())
        return torch.stack(rows).sum(dim=0)

    for rank in range(4):
        buffer = Buffer([Reduction.MEAN, Reduction.VARIANCE], device=torch.device("cpu"), world_size=4)
        for loss in torch.from_numpy(losses[:, rank]):
            buffer.add([loss, loss])
        measured = buffer.take(combine=True)
    np.testing.assert_allclose(measured.values[:, 0], losses.mean(axis=1, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(measured.values[:, 1], np.var(losses.astype(np.float64), axis=1, ddof=1), atol=1e-9)
    assert measured.measured.all()


def test_without_the_other_ranks_there_is_no_variance():
    buffer = Buffer([Reduction.MEAN, Reduction.VARIANCE], device=torch.device("cpu"), world_size=4)
    buffer.add([torch.tensor(3.0), torch.tensor(3.0)])
    measured = buffer.take(combine=False)
    assert measured.measured.tolist() == [[True, False]]
    assert measured.values[0, 0] == 3.0
