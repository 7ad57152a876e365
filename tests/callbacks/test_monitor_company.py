"""A monitor beside callbacks, optimizers and loaders that are out of the ordinary."""

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import BackboneFinetuning, EMAWeightAveraging, StochasticWeightAveraging
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.records.manifest import RunStatus
from stabilimeter.records.run import read_run


@pytest.mark.filterwarnings("ignore:The provided params to be frozen")
def test_parameters_that_join_the_optimizer_later(recorded, probe_class):
    class Finetuned(probe_class):
        def __init__(self):
            super().__init__()
            self.backbone = nn.Linear(6, 6)

        def training_step(self, batch, batch_idx):
            return super().training_step((self.backbone(batch[0]), batch[1]), batch_idx)

        def configure_optimizers(self):
            return torch.optim.SGD([p for p in self.parameters() if p.requires_grad], lr=0.1)

    module = Finetuned()
    run = recorded(module, BackboneFinetuning(unfreeze_backbone_at_epoch=1, verbose=False), max_epochs=2)
    np.testing.assert_allclose(run["grad/norm"].values, module.norms, rtol=1e-5)
    np.testing.assert_allclose(run["update/norm"].values, module.update_norms, rtol=1e-5)
    _, layers, names = run.vectors("grad/layer_norms")
    frozen = layers[:, names.index("backbone.weight")]
    assert (frozen[:12] == 0).all()
    assert (frozen[12:] > 0).all()


def test_weight_averaging(recorded, probe_class):
    module = probe_class()
    run = recorded(module, StochasticWeightAveraging(swa_lrs=0.05, swa_epoch_start=1, device=None), max_epochs=3)
    assert run.status is RunStatus.COMPLETED
    np.testing.assert_allclose(run["update/norm"].values, module.update_norms, rtol=1e-5)
    np.testing.assert_allclose(run["train/loss"].values, module.losses, rtol=1e-5)


def test_moving_average_of_the_weights(recorded, probe_class):
    """Validation runs with the averaged weights; the steps are those of the trained ones."""
    module = probe_class()
    run = recorded(module, EMAWeightAveraging(decay=0.5), max_epochs=2, limit_val_batches=2, val_check_interval=5)
    assert run.status is RunStatus.COMPLETED
    assert len(module.norms) == 24
    for key, expected in (("update/norm", module.update_norms), ("grad/norm", module.norms)):
        np.testing.assert_allclose(run[key].values, expected, rtol=1e-5, err_msg=key)
    ratios = np.divide(module.update_norms, module.weight_norms)
    np.testing.assert_allclose(run["update/ratio"].values, ratios, rtol=1e-5)


@pytest.mark.parametrize(
    "make", [lambda p: torch.optim.AdamW(p, lr=0.01, fused=True), lambda p: torch.optim.Adafactor(p)]
)
def test_other_optimizers(recorded, probe_class, make):
    module = probe_class(make)
    run = recorded(module)
    np.testing.assert_allclose(run["grad/norm"].values, module.norms, rtol=1e-5)
    np.testing.assert_allclose(run["update/norm"].values, module.update_norms, rtol=1e-4)


def test_learning_rate_on_the_device(recorded, probe_class):
    run = recorded(probe_class(lambda p: torch.optim.Adam(p, lr=torch.tensor(0.25), capturable=False, foreach=False)))
    np.testing.assert_array_equal(run["optim/lr"].values, 0.25)


def test_stream_of_unknown_length(recorded, probe_class):
    class Stream(IterableDataset):
        def __iter__(self):
            for i in range(6):
                yield torch.full((4, 6), float(i)), torch.tensor([0, 1, 0, 1])

    class Streamed(probe_class):
        def train_dataloader(self):
            return DataLoader(Stream(), batch_size=None)

    run = recorded(Streamed(), max_epochs=2)
    assert run.manifest.planned_steps is None
    assert len(run["train/loss"].steps) == 12
    assert run.status is RunStatus.COMPLETED


@pytest.mark.filterwarnings("ignore:.*fit will run with no optimizer")
def test_without_optimizer(make_trainer, make_loader, tmp_path):
    class Frozen(LightningModule):
        def training_step(self, batch, batch_idx):
            return torch.tensor(1.0, requires_grad=True)

        def configure_optimizers(self):
            return None

    make_trainer(StabilityMonitor(), default_root_dir=tmp_path).fit(Frozen(), make_loader())
    run = read_run(tmp_path)
    np.testing.assert_array_equal(run["train/loss"].values, np.ones(12))
    assert "grad/norm" not in run


def test_a_monitor_that_cannot_start_leaves_nothing_behind(make_trainer, probe_class, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no journal today")

    monkeypatch.setattr("stabilimeter.callbacks.monitor.opened_journal", broken)
    trainer = make_trainer(StabilityMonitor(), gradient_clip_val=0.1, limit_val_batches=0)
    before = set(vars(trainer.precision_plugin))
    with pytest.raises(RuntimeError, match="no journal today"):
        trainer.fit(probe_class())
    assert set(vars(trainer.precision_plugin)) == before
    assert not trainer.optimizers[0]._optimizer_step_post_hooks
