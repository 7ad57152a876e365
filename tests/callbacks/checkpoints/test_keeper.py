"""A run that goes wrong leaves the healthy checkpoints alone, whoever saves and deletes."""

import json
import math
import warnings

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins.io import AsyncCheckpointIO

from stabilimeter.callbacks.checkpoint_regression import CheckpointRegression
from stabilimeter.records.checkpoint_log import read_checkpoints

SICK = "is not healthy"
NEVER = -1


class Turn(Callback):
    """Gradients are NaN at a step; weights are mended at a later one, or the run raises."""

    def __init__(self, nan_at, heal_at=NEVER, raise_at=NEVER):
        self.nan_at, self.heal_at, self.raise_at = nan_at, heal_at, raise_at

    def on_after_backward(self, trainer, module):
        if trainer.global_step == self.nan_at:
            for parameter in module.parameters():
                parameter.grad.fill_(math.nan)

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if trainer.global_step == self.heal_at:
            for parameter in module.parameters():
                parameter.data.nan_to_num_(0.1)
            trainer.optimizers[0].state.clear()
        if trainer.global_step == self.raise_at:
            raise RuntimeError("the end")


@pytest.fixture
def fit(make_trainer, probe_class, tmp_path):
    def run(turn, *, steps=10, saver=None, guarded=True, **kwargs):
        saver = saver or ModelCheckpoint(tmp_path / "ckpt", save_last=True, every_n_train_steps=1)
        regression = [CheckpointRegression("val_loss", "min")] if guarded else []
        trainer = make_trainer(
            turn, *regression, saver, enable_checkpointing=True, max_steps=steps, max_epochs=-1, **kwargs
        )
        module = probe_class(lambda parameters: torch.optim.AdamW(parameters, lr=0.01))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*Checkpoint directory.*")
            trainer.fit(module)
        return trainer

    return run


def is_finite(path):
    checkpoint = torch.load(path, weights_only=True)
    return all(torch.isfinite(weight).all() for weight in checkpoint["state_dict"].values())


def step_of(path):
    return torch.load(path, weights_only=True)["global_step"]


def test_nan_at_step_5_without_the_callback_destroys_every_checkpoint(fit, tmp_path):
    fit(Turn(nan_at=5), guarded=False)
    assert sorted(path.name for path in (tmp_path / "ckpt").iterdir()) == ["epoch=0-step=10.ckpt", "last.ckpt"]
    assert not any(map(is_finite, (tmp_path / "ckpt").iterdir()))


@pytest.mark.parametrize("save_on_exception", [False, True])
def test_nan_at_step_5_leaves_the_last_healthy_checkpoint(fit, tmp_path, save_on_exception):
    saver = ModelCheckpoint(
        tmp_path / "ckpt", save_last=True, every_n_train_steps=1, save_on_exception=save_on_exception
    )
    if save_on_exception:
        with pytest.warns(UserWarning, match=SICK), pytest.raises(RuntimeError, match="the end"):
            fit(Turn(nan_at=5, raise_at=8), saver=saver)
    else:
        with pytest.warns(UserWarning, match=SICK):
            fit(Turn(nan_at=5), saver=saver)
    log, _ = read_checkpoints(tmp_path / "stability")
    assert (log.last_healthy.step, log.last_healthy.unhealthy) == (4, ())
    named = tmp_path / log.last_healthy.path
    assert is_finite(named)
    assert step_of(named) == 5  # five steps done
    assert is_finite(tmp_path / "ckpt" / "last.ckpt")
    assert is_finite(tmp_path / "ckpt" / "epoch=0-step=5.ckpt")
    assert not is_finite(tmp_path / "ckpt" / "sick-last.ckpt")
    sick = {saved.path: saved for saved in log.saved if saved.unhealthy}
    assert sick["ckpt/sick-last.ckpt"].instead_of == "ckpt/last.ckpt"
    assert "weights not finite: net.0.weight" in sick["ckpt/sick-last.ckpt"].unhealthy[0]
    assert len(list((tmp_path / "ckpt").iterdir())) == 4  # one sick file of each kind, not one per step


@pytest.mark.filterwarnings("ignore:Be aware that when using .ckpt_path.", "ignore:You.re resuming from a checkpoint")
def test_the_last_healthy_checkpoint_can_be_resumed(fit, tmp_path, make_trainer, probe_class):
    with pytest.warns(UserWarning, match=SICK):
        fit(Turn(nan_at=5))
    pointer = json.loads((tmp_path / "stability" / "last_healthy.json").read_text())
    regression = CheckpointRegression("val_loss", "min")
    trainer = make_trainer(regression, max_steps=12, max_epochs=-1)
    module = probe_class(lambda parameters: torch.optim.AdamW(parameters, lr=0.01))
    trainer.fit(module, ckpt_path=str(tmp_path / pointer["path"]))
    assert trainer.global_step == 12
    assert all(torch.isfinite(parameter).all() for parameter in module.parameters())
    log, _ = read_checkpoints(tmp_path / "stability")
    assert {entry.step for entry in (*log.evaluations, *log.saved)} <= {0, 1, 2, 3, 4, 11}
    assert not any(entry.unhealthy for entry in (*log.evaluations, *log.saved))


def test_a_run_that_recovers_goes_on_as_before(fit, tmp_path):
    with pytest.warns(UserWarning, match=SICK):
        fit(Turn(nan_at=5, heal_at=7), steps=9)
    log, _ = read_checkpoints(tmp_path / "stability")
    assert log.last_healthy.step == 8
    assert sorted(path.name for path in (tmp_path / "ckpt").iterdir()) == [
        "epoch=0-step=9.ckpt",
        "last.ckpt",
        "sick-last.ckpt",
    ]
    assert is_finite(tmp_path / "ckpt" / "last.ckpt")
    assert step_of(tmp_path / "ckpt" / "last.ckpt") == 9


def test_a_healthy_run_keeps_what_it_would_without(fit, tmp_path):
    trainer = fit(Turn(NEVER), steps=6)
    assert sorted(path.name for path in (tmp_path / "ckpt").iterdir()) == ["epoch=0-step=6.ckpt", "last.ckpt"]
    assert not {"save_checkpoint", "remove_checkpoint"} & set(vars(trainer.strategy))
    log, _ = read_checkpoints(tmp_path / "stability")
    assert log.last_healthy.step == 5


def test_linked_last_checkpoint(fit, tmp_path):
    saver = ModelCheckpoint(tmp_path / "ckpt", save_last="link", every_n_train_steps=1)
    with pytest.warns(UserWarning, match=SICK):
        fit(Turn(nan_at=5), saver=saver)
    log, _ = read_checkpoints(tmp_path / "stability")
    assert is_finite(tmp_path / log.last_healthy.path)
    assert log.last_healthy.path == "ckpt/epoch=0-step=5.ckpt"


def test_weights_only_and_best_of_a_metric(fit, tmp_path):
    saver = ModelCheckpoint(
        tmp_path / "ckpt",
        monitor="val_loss",
        save_weights_only=True,
        save_last=True,
        filename="best",
        every_n_train_steps=2,
    )
    with pytest.warns(UserWarning, match=SICK):
        fit(Turn(nan_at=9), steps=14, saver=saver, val_check_interval=2)
    assert is_finite(tmp_path / "ckpt" / "best.ckpt")
    log, _ = read_checkpoints(tmp_path / "stability")
    assert is_finite(tmp_path / log.last_healthy.path)


def test_asynchronous_writing(fit, tmp_path):
    with pytest.warns(UserWarning, match=SICK):
        fit(Turn(nan_at=5), plugins=[AsyncCheckpointIO()])
    log, _ = read_checkpoints(tmp_path / "stability")
    assert log.last_healthy.step in (3, 4)  # the file of a step may appear after that of the next was asked for
    assert is_finite(tmp_path / log.last_healthy.path)


def test_files_from_before_count_as_healthy(fit, tmp_path):
    (tmp_path / "ckpt").mkdir()
    (tmp_path / "ckpt" / "mine.ckpt").write_text("precious")
    saver = ModelCheckpoint(tmp_path / "ckpt", every_n_train_steps=1, filename="mine", enable_version_counter=False)
    with pytest.warns(UserWarning, match=SICK):
        fit(Turn(nan_at=0), steps=3, saver=saver)
    assert (tmp_path / "ckpt" / "mine.ckpt").read_text() == "precious"
    assert not is_finite(tmp_path / "ckpt" / "sick-mine.ckpt")


def test_after_an_exception_no_other_rank_is_asked(fit, tmp_path, monkeypatch):
    class SavesLast(ModelCheckpoint):
        def on_exception(self, trainer, module, exception):
            for name in ("reduce_boolean_decision", "broadcast"):
                monkeypatch.setattr(trainer.strategy, name, lambda *_, **__: pytest.fail("the other ranks are gone"))
            trainer.save_checkpoint(tmp_path / "ckpt" / "last.ckpt")

    saver = SavesLast(tmp_path / "ckpt", save_last=True, every_n_train_steps=1)
    with pytest.warns(UserWarning, match=SICK), pytest.raises(RuntimeError, match="the end"):
        fit(Turn(nan_at=5, raise_at=7), saver=saver)
    assert is_finite(tmp_path / "ckpt" / "last.ckpt")
    assert step_of(tmp_path / "ckpt" / "sick-last.ckpt") == 7


def test_who_saves_does_not_matter(fit, tmp_path):
    class Saves(Turn):
        def on_train_batch_end(self, trainer, *_):
            trainer.save_checkpoint(tmp_path / "own.ckpt")

    with pytest.warns(UserWarning, match=SICK):
        fit(Saves(nan_at=5), saver=ModelCheckpoint(tmp_path / "ckpt", save_top_k=0))
    assert step_of(tmp_path / "own.ckpt") == 5
    assert is_finite(tmp_path / "own.ckpt")
