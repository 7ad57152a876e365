"""A small transformer that three bad batches ruin, with and without a guard."""

import math

import pytest
import torch
from lightning.pytorch import seed_everything

from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.callbacks.spike_guard import SpikeGuard
from stabilimeter.experiments.char_gpt import CharGPT, HelpTopics
from stabilimeter.records.manifest import RunStatus
from stabilimeter.records.run import read_run

BAD = (60, 61, 62)
STEPS = 120


class Glitching(CharGPT):
    """Half-precision hardware that returns NaN now and then, or a learning rate mistyped by a factor of 1000."""

    def __init__(self, nan_at=(), rate_at=None):
        super().__init__(width=32, depth=1, num_heads=2, max_length=32, warmup_steps=20)
        self.nan_at, self.rate_at = nan_at, rate_at

    def training_step(self, batch, batch_idx):
        if self.trainer.global_step == self.rate_at:
            for group in self.trainer.optimizers[0].param_groups:
                group["lr"] *= 1000.0
        loss = super().training_step(batch, batch_idx)
        return loss * math.nan if self.trainer.global_step in self.nan_at else loss


@pytest.fixture
def validation_loss(make_trainer):
    def fit(*callbacks, **glitches):
        seed_everything(0, verbose=False)
        trainer = make_trainer(
            *callbacks,
            max_steps=STEPS,
            max_epochs=-1,
            val_check_interval=STEPS,
            check_val_every_n_epoch=None,
            limit_val_batches=3,
            num_sanity_val_steps=0,
        )
        trainer.fit(Glitching(**glitches), HelpTopics(batch_size=16, length=32))
        assert trainer.global_step == STEPS
        return trainer.callback_metrics["val/loss"].item()

    return fit


@pytest.mark.filterwarnings("ignore:StabilityMonitor.*not finite:UserWarning")
def test_nan_batches_ruin_the_run_without_a_guard_and_cost_three_steps_with_it(validation_loss, tmp_path):
    clean = validation_loss()
    assert math.isnan(validation_loss(nan_at=BAD))
    guarded = validation_loss(StabilityMonitor(), SpikeGuard("skip"), nan_at=BAD)
    assert guarded == pytest.approx(clean, abs=0.05)
    run = read_run(tmp_path)
    assert run.status is RunStatus.COMPLETED
    [act] = [incident for incident in run.incidents if incident.key.startswith("guard/")]
    assert (act.key, act.step, act.end_step) == ("guard/skip", BAD[0], BAD[-1])
    assert math.isfinite(torch.tensor(run["val/loss"].values[-1]))


def test_weights_ruined_by_one_huge_step_come_back(validation_loss):
    clean = validation_loss()
    guard = SpikeGuard("rollback", max_skips=2, snapshot_every_n_steps=10)
    guarded = validation_loss(guard, rate_at=80)
    alone = validation_loss(rate_at=80)
    assert [action.evidence["action"] for action in guard.actions] == ["skip", "rollback"]
    assert guard.actions[1].evidence["restored_step"] == 70
    assert guarded == pytest.approx(clean, abs=0.1)
    assert alone > clean + 0.5
