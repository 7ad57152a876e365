"""Early stopping, checkpoints and schedulers that monitor a signal, judged by the values that they saw."""

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from stabilimeter.callbacks.monitor import StabilityMonitor


class Seen(EarlyStopping):
    """Keeps every value that it was asked to judge."""

    def __init__(self, monitor, **kwargs):
        super().__init__(monitor, patience=100, **kwargs)
        self.values = []

    def _evaluate_stopping_criteria(self, current):
        self.values.append(current.item())
        return super()._evaluate_stopping_criteria(current)


@pytest.mark.parametrize("first", ["monitor", "stopping"])
def test_early_stopping_sees_the_last_step_at_each_evaluation(make_trainer, probe_class, first):
    module, stopping = probe_class(), Seen("grad/norm")
    callbacks = [StabilityMonitor(), stopping]
    make_trainer(*(callbacks if first == "monitor" else callbacks[::-1]), max_epochs=2, val_check_interval=4).fit(
        module
    )
    np.testing.assert_allclose(stopping.values, np.array(module.norms)[3::4], rtol=1e-5)


def test_early_stopping_at_the_end_of_an_epoch_and_what_it_decides(make_trainer, probe_class):
    module = probe_class(lr=0.0)
    stopping = EarlyStopping("update/norm", check_on_train_epoch_end=True, stopping_threshold=1e-6, patience=100)
    trainer = make_trainer(StabilityMonitor(strided_every_n_steps=1), stopping, limit_val_batches=0, max_epochs=5)
    trainer.fit(module)
    assert trainer.current_epoch == 1
    assert "below its threshold" in stopping.stopping_reason_message or stopping.stopped_epoch == 0


def test_derived_signals(make_trainer, probe_class):
    module, stopping = probe_class(), Seen("train/loss_var")
    make_trainer(StabilityMonitor(flush_every_n_steps=5), stopping, max_epochs=2).fit(module)
    expected = [np.var(module.losses[:n], ddof=1) for n in (12, 24)]
    np.testing.assert_allclose(stopping.values, expected, rtol=1e-4)


def test_checkpoints_between_evaluations_see_the_last_flush(make_trainer, probe_class, tmp_path):
    module = probe_class()
    checkpoint = ModelCheckpoint(tmp_path / "kept", monitor="grad/norm", save_top_k=-1, every_n_train_steps=6)
    monitor = StabilityMonitor(flush_every_n_steps=3)
    make_trainer(monitor, checkpoint, max_epochs=2, enable_checkpointing=True, limit_val_batches=0).fit(module)
    scores = {path.rsplit("step=")[1].split(".")[0]: score.item() for path, score in checkpoint.best_k_models.items()}
    assert sorted(map(int, scores)) == [6, 12, 18, 24]
    for step, score in scores.items():
        assert score == pytest.approx(module.norms[int(step) - 1], rel=1e-5)
    assert checkpoint.best_model_score.item() == pytest.approx(min(scores.values()))


def test_a_scheduler(make_trainer, probe_class):
    class Plateau(probe_class):
        def configure_optimizers(self):
            optimizer = super().configure_optimizers()
            self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=9, threshold=0.0)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self.scheduler, "monitor": "grad/norm"}}

    module = Plateau()
    make_trainer(StabilityMonitor(), max_epochs=3).fit(module)
    assert module.scheduler.best == pytest.approx(min(module.norms[11::12]), rel=1e-5)


def test_a_metric_of_the_same_name_stays_that_of_the_user(make_trainer, probe_class):
    class Logs(probe_class):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            self.log("train/loss", loss, on_step=False, on_epoch=True)
            return loss

    class AtBatches(Callback):
        def __init__(self):
            self.values = []

        def on_train_batch_end(self, trainer, *_):
            self.values.append(trainer.callback_metrics.get("train/loss"))

    module, stopping, between = Logs(), Seen("train/loss", check_on_train_epoch_end=True), AtBatches()
    monitor = StabilityMonitor(flush_every_n_steps=2)
    make_trainer(monitor, stopping, between, limit_val_batches=0, max_epochs=2).fit(module)
    means = np.reshape(module.losses, (2, 12)).mean(axis=1)
    np.testing.assert_allclose(stopping.values, means, rtol=1e-5)
    assert {round(value.item(), 4) for value in between.values[12:]} == {round(means[0], 4)}


def test_nothing_is_published_unasked(make_trainer, probe_class):
    trainer = make_trainer(StabilityMonitor(flush_every_n_steps=2), EarlyStopping("val_loss"))
    trainer.fit(probe_class())
    assert set(trainer.callback_metrics) == {"val_loss"}
