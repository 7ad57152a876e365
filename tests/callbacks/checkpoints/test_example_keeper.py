"""Outcomes per example on disk, by what a module returned."""

import numpy as np
import pytest
import torch
from torch import nn

from stabilimeter import CheckpointRegression, StabilityMonitor, read_run
from stabilimeter.callbacks.checkpoints.example_keeper import ExampleKeeper
from stabilimeter.callbacks.checkpoints.outcomes import Outcomes
from stabilimeter.records.example_log import read_examples


def outcomes(keys, **values):
    return Outcomes(np.array(keys), {name: np.array(column) for name, column in values.items()})


def test_dynamics_over_evaluations(tmp_path):
    keeper = ExampleKeeper(tmp_path)
    keeper.enter(9, outcomes([0, 1], correct=[True, False], loss=np.float32([0.1, 2.0]), prediction=[3, 4]))
    keeper.enter(19, outcomes([0, 1], correct=[True, True], loss=np.float32([0.1, np.inf]), prediction=[3, 5]))
    found = read_examples(tmp_path)
    assert (found.step, found.evaluations, found.prediction.tolist()) == (19, 2, [3, 5])
    chances = np.array([[np.exp(-0.1), np.exp(-2.0)], [np.exp(-0.1), 0.0]])
    np.testing.assert_allclose(found.confidence, chances.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.variability, chances.std(axis=0), atol=1e-7)
    np.testing.assert_allclose(found.correctness, [1.0, 0.5])


def test_without_a_loss_right_is_one_and_without_either_there_are_no_dynamics(tmp_path):
    keeper = ExampleKeeper(tmp_path)
    keeper.enter(9, outcomes([0, 1], correct=[True, False]))
    keeper.enter(19, outcomes([0, 1], correct=[False, False]))
    np.testing.assert_allclose(read_examples(tmp_path).confidence, [0.5, 0.0])
    keeper.enter(29, outcomes([0, 1], prediction=[3, 4]))
    assert (read_examples(tmp_path).confidence, read_examples(tmp_path).prediction.tolist()) == (None, [3, 4])


def test_other_examples_begin_anew(tmp_path):
    keeper = ExampleKeeper(tmp_path)
    keeper.enter(9, outcomes([0, 1], correct=[True, True]))
    keeper.enter(19, outcomes([1, 2], correct=[False, True]))
    found = read_examples(tmp_path)
    assert (found.evaluations, found.confidence.tolist()) == (1, [0.0, 1.0])


def test_resumed_is_as_if_uninterrupted(tmp_path):
    whole, first, second = (ExampleKeeper(tmp_path / name) for name in "abb")
    for name in "ab":
        (tmp_path / name).mkdir()
    parts = [outcomes([0, 1], correct=[True, False], loss=np.float32(loss)) for loss in ([0.1, 3], [0.2, 2], [0.3, 1])]
    for step, part in enumerate(parts):
        whole.enter(step, part)
        (first if step < 2 else second).enter(step, part)
        if step == 1:
            second.load_state_dict(first.state_dict())
    for name in ("confidence", "variability", "correctness"):
        found = [getattr(read_examples(tmp_path / folder), name) for folder in "ab"]
        np.testing.assert_array_equal(*found)


def test_a_full_disk_does_not_stop_training(tmp_path):
    keeper = ExampleKeeper(tmp_path / "nowhere")
    with pytest.warns(UserWarning, match="outcomes per example are not kept"):
        keeper.enter(9, outcomes([0], correct=[True]))
    keeper.enter(19, outcomes([0], correct=[True]))


def test_what_a_module_returns_is_in_its_record(make_trainer, probe_class, tmp_path):
    class Judged(probe_class):
        def validation_step(self, batch, batch_idx):
            x, y = batch
            logits = self.net(x)
            losses = nn.functional.cross_entropy(logits, y, reduction="none")
            self.log("val_loss", losses.mean())
            index = torch.arange(len(y)) + batch_idx * len(y)
            return {"index": index, "correct": logits.argmax(1) == y, "loss": losses, "prediction": logits.argmax(1)}

    module = Judged()
    make_trainer(StabilityMonitor(), CheckpointRegression("val_loss", "min"), max_epochs=2).fit(module)
    found = read_run(tmp_path).examples
    batches = list(module.val_dataloader())
    x, y = torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches])
    predicted = module.net(x).argmax(1)
    assert (found.step, found.evaluations, found.keys.tolist()) == (23, 2, list(range(48)))
    assert found.prediction.tolist() == predicted.tolist()
    assert found.correct.tolist() == (predicted == y).tolist()
    make_trainer(StabilityMonitor(), CheckpointRegression("val_loss", "min"), limit_val_batches=0).fit(Judged())
    assert read_run(tmp_path).examples is None  # of the new run there are none
