"""What is said beside an incident."""

import json

import pytest
import torch
from lightning.pytorch import LightningModule
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.callbacks.recording.circumstances import Circumstances
from stabilimeter.records.run import read_run
from stabilimeter.stats.incident import Incident, Kind


def incident(step, key="train/loss") -> Incident:
    return Incident(Kind.SPIKE, step, step, 9.0, 1.0, 0.1, key)


def test_other_series_that_went_wrong_before_are_named_in_their_order():
    seen = Circumstances()
    for step, key in ((9, "old"), (95, "grad/norm"), (80, "update/norm"), (99, "train/loss"), (101, "late")):
        seen.note(incident(step, key))
    assert list(seen.of(incident(100))["moved_before"].items()) == [("update/norm", 80), ("grad/norm", 95)]
    assert "moved_before" not in seen.of(incident(60))


def test_it_survives_a_checkpoint():
    seen, resumed = Circumstances(), Circumstances()
    seen.note(incident(95, "grad/norm"))
    seen.extend_rates("optim/lr", range(90, 99), [0.1] * 4 + [0.5] * 5)
    resumed.load_state_dict(json.loads(json.dumps(seen.state_dict())))
    resumed.extend_rates("optim/lr", [99], [0.5])
    expected = {"learning_rate_jump": {"step": 94, "before": 0.1, "after": 0.5}, "moved_before": {"grad/norm": 95}}
    assert resumed.of(incident(100)) == seen.of(incident(100)) == expected


class Restarted(LightningModule):
    """Least squares; at step 60 the learning rate is raised a thousandfold, or the targets of one batch are far off."""

    def __init__(self, raised: bool):
        super().__init__()
        self.net = nn.Linear(4, 1)
        self.raised = raised

    def training_step(self, batch, batch_idx):
        x, y = batch
        return nn.functional.mse_loss(self.net(x), y if self.raised or self.global_step != 60 else y + 100.0)

    def train_dataloader(self):
        x = torch.randn(640, 4, generator=torch.Generator().manual_seed(0))
        return DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=8)

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=1e-3)
        raised = 1000.0 if self.raised else 1.0
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 if step < 60 else raised)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


@pytest.mark.filterwarnings("ignore:StabilityMonitor:UserWarning")
@pytest.mark.parametrize("raised", [True, False])
def test_a_deliberate_jump_of_the_learning_rate_is_named(make_trainer, tmp_path, raised):
    make_trainer(StabilityMonitor(flush_every_n_steps=7), max_epochs=1, limit_val_batches=0).fit(Restarted(raised))
    of_loss = [found for found in read_run(tmp_path).incidents if found.key == "train/loss"]
    assert 60 <= of_loss[0].step <= 66
    jump = of_loss[0].evidence.get("learning_rate_jump")
    assert jump == ({"step": 60, "before": 1e-3, "after": pytest.approx(1.0)} if raised else None)
