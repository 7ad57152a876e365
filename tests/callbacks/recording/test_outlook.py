import math

import pytest
from lightning.pytorch.callbacks import EarlyStopping, GradientAccumulationScheduler, ModelCheckpoint

from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.callbacks.recording.outlook import ending, monitored_metric, planned_steps
from stabilimeter.callbacks.recording.provenance import git_state, global_seed, package_versions
from stabilimeter.callbacks.recording.run_folder import check_writable
from stabilimeter.callbacks.recording.step_evidence import _largest
from stabilimeter.records.manifest import RunStatus
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.run import read_run


class Stub:
    def __init__(self, **known):
        self.__dict__.update(known)


def trainer(*callbacks, **known):
    usual = {"max_steps": -1, "max_epochs": 2, "num_training_batches": 10, "estimated_stepping_batches": 20}
    return Stub(callbacks=list(callbacks), **{**usual, **known})


AUTOMATIC, MANUAL = Stub(automatic_optimization=True), Stub(automatic_optimization=False)
SCHEDULE = GradientAccumulationScheduler({0: 4, 1: 1})


@pytest.mark.parametrize(
    ("given", "module", "steps"),
    [
        (trainer(), AUTOMATIC, 20),
        (trainer(estimated_stepping_batches=math.inf), AUTOMATIC, None),
        (trainer(estimated_stepping_batches=-1), AUTOMATIC, None),
        (trainer(), MANUAL, None),
        (trainer(max_steps=30), MANUAL, 30),
        (trainer(SCHEDULE), AUTOMATIC, 3 + 10),
        (trainer(SCHEDULE, max_steps=5), AUTOMATIC, 5),
        (trainer(SCHEDULE, max_epochs=-1), AUTOMATIC, None),
        (trainer(SCHEDULE, num_training_batches=math.inf, max_steps=7), AUTOMATIC, 7),
    ],
)
def test_planned_steps(given, module, steps):
    assert planned_steps(given, module) == steps


def test_monitored_metric_is_that_of_the_checkpoint_before_that_of_early_stopping():
    stopping, checkpoint = EarlyStopping("val_loss"), ModelCheckpoint(monitor="val_acc", mode="max")
    assert monitored_metric(trainer(stopping, ModelCheckpoint())) == ("val_loss", "min")
    assert monitored_metric(trainer(stopping, checkpoint)) == ("val_acc", "max")
    assert monitored_metric(trainer()) == (None, None)


def test_a_signal_is_no_goal(make_trainer, probe_class, tmp_path):
    gradients = EarlyStopping("grad/norm", patience=99, check_on_train_epoch_end=True)
    for others, expected in (([], (None, None)), ([ModelCheckpoint(monitor="train/loss")], ("train/loss", "min"))):
        callbacks = [StabilityMonitor(dirpath=tmp_path / "run"), gradients, *others]
        make_trainer(*callbacks, limit_val_batches=0, enable_checkpointing=bool(others)).fit(probe_class())
        manifest = read_run(tmp_path / "run").manifest
        assert (manifest.monitor, manifest.mode) == expected


@pytest.mark.parametrize(
    ("should_stop", "step", "nonfinite", "status"),
    [
        (False, 20, None, RunStatus.COMPLETED),
        (True, 20, None, RunStatus.COMPLETED),
        (True, 19, None, RunStatus.STOPPED),
        (False, 20, "train/loss is nan", RunStatus.DIVERGED),
        (True, 10, "train/loss is nan", RunStatus.DIVERGED),
    ],
)
def test_ending(should_stop, step, nonfinite, status):
    assert ending(trainer(should_stop=should_stop, global_step=step), 20, nonfinite)[0] is status


@pytest.mark.parametrize(("text", "seed"), [("0", 0), ("17", 17), ("", None)])
def test_seed_zero_is_a_seed(monkeypatch, text, seed):
    monkeypatch.setenv("PL_GLOBAL_SEED", text)
    assert global_seed() == seed


def test_a_folder_without_repository_has_no_commit(tmp_path):
    assert git_state(tmp_path) == (None, None)


def test_versions_name_what_trains():
    assert {"python", "torch", "lightning", "numpy"} <= package_versions().keys()


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match=r"cannot write the record of this run to .*file.*dirpath"):
        check_writable(tmp_path / "file" / "run")


def test_largest_gradients_put_the_broken_ones_first():
    import numpy as np

    assert _largest(np.array([1.0, np.nan, 5.0, np.inf, 3.0])) == [1, 3, 2]
