"""A monitor must survive whatever a Trainer does, and say in the record how it ended."""

import csv
import json
import math
import os
import signal
import warnings

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from torch import nn

from stabilimeter.callbacks.catalogue import CATALOGUE
from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.records.manifest import RunStatus
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.run import read_run


def fit(trainer, module, **kwargs):
    trainer.fit(module, **kwargs)
    return trainer


class Stop(Callback):
    """Does something at the end of a batch."""

    def __init__(self, at, what):
        self.at, self.what = at, what

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.at:
            self.what(trainer)


def boom(_):
    raise ZeroDivisionError("boom")


class TestEnding:
    def test_completed(self, recorded, probe_class):
        run = recorded(probe_class(), max_epochs=2)
        assert (run.status, run.manifest.reason, run.manifest.last_step) == (RunStatus.COMPLETED, None, 23)
        assert run.manifest.planned_steps == 24

    def test_max_steps(self, recorded, probe_class):
        run = recorded(probe_class(), max_epochs=-1, max_steps=7)
        assert (run.status, run.manifest.last_step, run.manifest.planned_steps) == (RunStatus.COMPLETED, 6, 7)
        np.testing.assert_array_equal(run["train/loss"].steps, np.arange(7))

    def test_exception_keeps_the_steps_before_it(self, make_trainer, probe_class, tmp_path):
        module = probe_class()
        with pytest.raises(ZeroDivisionError):
            make_trainer(StabilityMonitor(), Stop(5, boom), limit_val_batches=0).fit(module)
        run = read_run(tmp_path)
        assert (run.status, run.manifest.reason) == (RunStatus.FAILED, "ZeroDivisionError: boom")
        np.testing.assert_array_equal(run["train/loss"].steps, np.arange(5))
        np.testing.assert_allclose(run["train/loss"].values, module.losses, rtol=1e-6)

    def test_exception_before_the_loss_of_a_done_step_is_known(self, make_trainer, probe_class, tmp_path):
        module = probe_class()
        with pytest.raises(ZeroDivisionError):
            make_trainer(Stop(5, boom), StabilityMonitor(strided_every_n_steps=1), limit_val_batches=0).fit(module)
        run = read_run(tmp_path)
        np.testing.assert_array_equal(run["train/loss"].steps, np.arange(4))
        np.testing.assert_allclose(run["update/norm"].values, module.update_norms, rtol=1e-5)
        assert len(run["update/norm"].steps) == 5

    def test_ctrl_c(self, make_trainer, probe_class, tmp_path):
        handler = signal.getsignal(signal.SIGINT)
        stop = Stop(5, lambda _: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(SystemExit):
            make_trainer(StabilityMonitor(), stop, limit_val_batches=0).fit(probe_class())
        signal.signal(signal.SIGINT, handler)
        run = read_run(tmp_path)
        assert run.status is RunStatus.CANCELLED
        np.testing.assert_array_equal(run["train/loss"].steps[:5], np.arange(5))

    def test_early_stopping(self, recorded, probe_class):
        stopping = EarlyStopping("val_loss", patience=0, min_delta=100.0)
        run = recorded(probe_class(), stopping, max_epochs=9, limit_val_batches=None)
        assert (run.status, run.manifest.reason) == (RunStatus.STOPPED, "early stopping on val_loss")
        assert (run.manifest.monitor, run.manifest.mode) == ("val_loss", "min")

    def test_stopped_by_hand(self, recorded, probe_class):
        run = recorded(probe_class(), Stop(3, lambda trainer: setattr(trainer, "should_stop", True)))
        assert run.status is RunStatus.STOPPED
        assert run.manifest.last_step == 2

    def test_diverged(self, recorded, probe_class):
        class Blows(probe_class):
            def training_step(self, batch, batch_idx):
                loss = super().training_step(batch, batch_idx)
                return loss * math.nan if batch_idx >= 6 else loss

        with pytest.warns(UserWarning, match=r"train/loss is not finite from step 6 on"):
            run = recorded(Blows())
        assert run.status is RunStatus.DIVERGED
        assert run.manifest.reason == "train/loss is nan at step 11"
        assert np.isnan(run["train/loss"].values[6:]).all()
        assert np.isfinite(run["train/loss"].values[:6]).all()
        first = next(incident for incident in run.incidents if incident.key == "train/loss")
        assert (first.kind.value, first.step, first.end_step) == ("nonfinite", 6, 11)
        assert first.evidence["batch_idx"] == 6
        assert first.evidence["learning_rate"] == pytest.approx(0.1)

    def test_a_divergence_is_told_while_it_goes_on(self, recorded, probe_class):
        told_at = []

        def told():
            return any("train/loss diverges from step" in str(warning.message) for warning in said)

        class Climbs(probe_class):
            def training_step(self, batch, batch_idx):
                told_at.extend([self.global_step] if told() else [])
                loss = super().training_step(batch, batch_idx)
                return loss * 0 + 1.0 + 0.1 * (self.global_step % 3) + 2.0 * max(0, self.global_step - 40)

        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            run = recorded(Climbs(), monitor=StabilityMonitor(flush_every_n_steps=50), max_epochs=20)
        assert 40 < told_at[0] <= 100
        assert run.manifest.last_step > 200

    def test_a_spike_that_heals_is_an_incident_and_no_divergence(self, recorded, probe_class):
        class Spikes(probe_class):
            def training_step(self, batch, batch_idx):
                loss = super().training_step(batch, batch_idx)
                return loss + 1e6 * (self.global_step == 40)

        run = recorded(Spikes(), max_epochs=5)
        assert run.status is RunStatus.COMPLETED
        assert [(i.kind.value, i.step, i.end_step) for i in run.incidents if i.key == "train/loss"] == [
            ("spike", 40, 40)
        ]

    def test_nothing_to_train_leaves_no_record(self, make_trainer, probe_class, tmp_path):
        make_trainer(StabilityMonitor(), limit_train_batches=0).fit(probe_class())
        assert not (tmp_path / "stability").exists()


class TestAgain:
    def test_same_callback_in_two_fits(self, make_trainer, probe_class, tmp_path):
        monitor = StabilityMonitor(dirpath=None)
        first, second = tmp_path / "first", tmp_path / "second"
        for folder in (first, second):
            torch.manual_seed(1)
            make_trainer(monitor, default_root_dir=folder, limit_val_batches=0).fit(probe_class())
        one, two = read_run(first), read_run(second)
        for key in ("train/loss", "train/loss_var", "grad/norm", "update/ratio"):
            np.testing.assert_array_equal(one[key].values, two[key].values)
        assert one.manifest.run_id != two.manifest.run_id

    def test_second_fit_of_one_trainer_goes_on(self, make_trainer, probe_class, tmp_path):
        trainer, module = make_trainer(StabilityMonitor(), limit_val_batches=0), probe_class()
        trainer.fit(module)
        trainer.fit_loop.max_epochs = 2
        trainer.fit(module)
        run = read_run(tmp_path)
        np.testing.assert_array_equal(run["train/loss"].steps, np.arange(24))
        np.testing.assert_allclose(run["train/loss"].values, module.losses, rtol=1e-6)

    def test_a_new_run_in_the_same_folder_replaces_the_old_one(self, make_trainer, probe_class, tmp_path):
        make_trainer(StabilityMonitor(), limit_val_batches=0, max_epochs=2).fit(probe_class())
        make_trainer(StabilityMonitor(), limit_val_batches=0).fit(probe_class())
        np.testing.assert_array_equal(read_run(tmp_path)["train/loss"].steps, np.arange(12))

    @pytest.mark.parametrize("flush_every", [1, 7, 50])
    @pytest.mark.parametrize(("stop_at", "accumulate"), [(5, 1), (12, 1), (30, 1), (3, 2)])
    @pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
    @pytest.mark.filterwarnings("ignore:When using .Trainer.accumulate_grad_batches")
    @pytest.mark.filterwarnings("ignore:Checkpoint directory")
    @pytest.mark.filterwarnings("ignore:The dirpath has changed")
    def test_interrupted_and_resumed_equals_uninterrupted(
        self, make_trainer, probe_class, tmp_path, stop_at, accumulate, flush_every
    ):
        class Spiky(probe_class):
            def training_step(self, batch, batch_idx):
                generator = torch.Generator().manual_seed(self.current_epoch * 100 + batch_idx)
                x = torch.randn(4, 6, generator=generator)  # a plain loader starts anew when a run resumes mid-epoch
                spike = 50.0 * ((self.global_step in (15, 29)) or self.global_step >= 40)
                return nn.functional.cross_entropy(self.net(x), (x[:, 0] > 0).long()) + spike

        def trainer(folder, *callbacks, **kwargs):
            return make_trainer(
                StabilityMonitor(list(CATALOGUE), flush_every_n_steps=flush_every, strided_every_n_steps=4),
                *callbacks,
                default_root_dir=folder,
                max_epochs=4,
                accumulate_grad_batches=accumulate,
                **kwargs,
            )

        def resumable():
            torch.manual_seed(1)
            return Spiky(lambda p: torch.optim.Adam(p, lr=0.01))

        whole, parts = tmp_path / "whole", tmp_path / "parts"
        trainer(whole).fit(resumable())
        saved = tmp_path / "saved.ckpt"
        save = Stop(stop_at, lambda t: saved.exists() or t.save_checkpoint(saved))
        with pytest.raises(ZeroDivisionError):  # the run goes on a little after the checkpoint, and is then lost
            trainer(parts, save, Stop(stop_at + 2, boom)).fit(resumable())
        trainer(parts).fit(resumable(), ckpt_path=saved)

        expected, got = read_run(whole), read_run(parts)
        assert got.status is RunStatus.COMPLETED
        assert sorted(got.keys()) == sorted(expected.keys())
        for key in sorted(expected.keys()):
            np.testing.assert_array_equal(got[key].steps, expected[key].steps, err_msg=key)
            if not key.startswith("time/"):
                np.testing.assert_array_equal(got[key].values, expected[key].values, err_msg=key)
        for key in ("grad/layer_norms", "optim/layer_rms"):
            for a, b in zip(got.vectors(key), expected.vectors(key), strict=True):
                np.testing.assert_array_equal(a, b)
        assert [i.step for i in expected.incidents if i.key == "train/loss"] != []
        assert [(i.kind, i.key, i.step, i.end_step, i.value) for i in got.incidents] == [
            (i.kind, i.key, i.step, i.end_step, i.value) for i in expected.incidents
        ]
        assert got.manifest.run_id != expected.manifest.run_id


class TestFolder:
    def test_unwritable_folder_is_found_before_training(self, make_trainer, probe_class, tmp_path):
        (tmp_path / "file").write_text("in the way")
        module = probe_class()
        with pytest.raises(RecordError, match="cannot write the record"):
            make_trainer(StabilityMonitor(dirpath=tmp_path / "file")).fit(module)
        assert module.losses == []

    def test_fast_dev_run_keeps_nothing(self, make_trainer, probe_class, tmp_path):
        trainer = make_trainer(StabilityMonitor(dirpath=tmp_path), fast_dev_run=3)
        trainer.fit(probe_class())
        assert list(tmp_path.iterdir()) == []

    def test_validate_test_and_predict_alone_keep_nothing(self, make_trainer, probe_class, tmp_path, make_loader):
        class Complete(probe_class):
            def test_step(self, batch, batch_idx):
                self.validation_step(batch, batch_idx)

            def predict_step(self, batch, batch_idx):
                return self.net(batch[0])

        trainer = make_trainer(StabilityMonitor())
        module = Complete()
        trainer.validate(module, verbose=False)
        trainer.test(module, make_loader(), verbose=False)
        trainer.predict(module, make_loader())
        assert not (tmp_path / "stability").exists()

    def test_record_is_beside_the_log_of_the_first_logger(self, make_trainer, probe_class, tmp_path):
        logger = TensorBoardLogger(tmp_path, name="tb", version=3)
        make_trainer(StabilityMonitor(), logger=logger, limit_val_batches=0, log_every_n_steps=1).fit(probe_class())
        assert "train/loss" in read_run(tmp_path / "tb" / "version_3")

    def test_two_monitors_in_one_trainer(self, make_trainer, probe_class, tmp_path):
        monitors = [StabilityMonitor(dirpath=tmp_path / name, strided_every_n_steps=3) for name in "ab"]
        make_trainer(*monitors, limit_val_batches=0, gradient_clip_val=0.1).fit(probe_class())
        a, b = read_run(tmp_path / "a"), read_run(tmp_path / "b")
        for key in ("train/loss", "grad/norm", "grad/norm_clipped", "update/norm"):
            np.testing.assert_allclose(a[key].values, b[key].values, rtol=1e-6)


class Collector(Logger):
    """A logger that, as W&B does, refuses to go back in time."""

    def __init__(self, save_dir):
        self.rows = []
        self._save_dir = str(save_dir)

    name, version = "collector", 7
    save_dir = property(lambda self: self._save_dir)

    def log_hyperparams(self, *_, **__):
        pass

    def log_metrics(self, metrics, step=None):
        assert all(isinstance(value, int | float) for value in metrics.values())
        mine = [s for s, row in self.rows if "train/loss" in row]
        assert "train/loss" not in metrics or not mine or step > mine[-1]
        self.rows.append((step, metrics))


class TestLoggers:
    def test_every_other_logger_gets_each_step_once(self, make_trainer, probe_class, tmp_path):
        table, collector = CSVLogger(tmp_path, name="csv", version=0), Collector(tmp_path)
        board = TensorBoardLogger(tmp_path, name="tb", version=0)
        module = probe_class()
        monitor = StabilityMonitor(flush_every_n_steps=5)
        make_trainer(monitor, logger=[table, collector, board], max_epochs=2, log_every_n_steps=3).fit(module)
        rows = [(step, row) for step, row in collector.rows if "train/loss" in row]
        assert [step for step, _ in rows] == list(range(24))
        np.testing.assert_allclose([row["train/loss"] for _, row in rows], module.losses, rtol=1e-6)
        np.testing.assert_allclose([row["grad/norm"] for _, row in rows], module.norms, rtol=1e-5)
        assert all("grad/norm_clipped" not in row for _, row in rows)
        with (tmp_path / "csv" / "version_0" / "metrics.csv").open() as file:
            written = [row for row in csv.DictReader(file) if row["train/loss"]]
        assert [int(row["step"]) for row in written] == list(range(24))
        np.testing.assert_allclose([float(row["train/loss"]) for row in written], module.losses, rtol=1e-6)
        assert "train/loss" in read_run(tmp_path / "tb" / "version_0")  # the record is beside what TensorBoard shows
        assert not any("loss" in key for key in events_of(tmp_path / "tb" / "version_0") if key != "val_loss")

    def test_a_board_elsewhere_gets_the_signals_too(self, make_trainer, probe_class, tmp_path):
        board, module = TensorBoardLogger(tmp_path, name="tb", version=0), probe_class()
        make_trainer(StabilityMonitor(dirpath=tmp_path / "elsewhere"), logger=board, log_every_n_steps=3).fit(module)
        assert "train/loss" in events_of(tmp_path / "tb" / "version_0")

    def test_folder_of_a_logger_that_has_none_per_run(self, make_trainer, probe_class, tmp_path):
        make_trainer(StabilityMonitor(), logger=Collector(tmp_path), limit_val_batches=0, log_every_n_steps=5).fit(
            probe_class()
        )
        assert "train/loss" in read_run(tmp_path / "collector" / "version_7")


def events_of(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder)).Reload().Tags()["scalars"]


class TestMetrics:
    def test_each_evaluation_is_recorded_once_at_the_last_step_done(self, make_trainer, probe_class, tmp_path):
        class Module(probe_class):
            def training_step(self, batch, batch_idx):
                loss = super().training_step(batch, batch_idx)
                self.log("step_only", loss)
                self.log("both", loss, on_step=True, on_epoch=True)
                self.log("epoch_only", loss, on_step=False, on_epoch=True)
                return loss

            def validation_step(self, batch, batch_idx):
                super().validation_step(batch, batch_idx)
                self.log("seen_at", float(self.global_step))

            def on_train_epoch_end(self):
                self.log("late", float(self.current_epoch))

        module = Module()
        monitor = StabilityMonitor()
        make_trainer(monitor, max_epochs=3, check_val_every_n_epoch=2, num_sanity_val_steps=2).fit(module)
        run = read_run(tmp_path)
        np.testing.assert_array_equal(run["val_loss"].steps, [23])
        np.testing.assert_array_equal(run["seen_at"].values, [24.0])
        per_epoch = np.reshape(module.losses, (3, 12)).mean(axis=1)
        for key in ("both", "epoch_only"):
            np.testing.assert_array_equal(run[key].steps, [11, 23, 35])
            np.testing.assert_allclose(run[key].values, per_epoch, rtol=1e-5)
        np.testing.assert_array_equal(run["late"].steps, [11, 23, 35])
        np.testing.assert_array_equal(run["late"].values, [0.0, 1.0, 2.0])
        assert "step_only" not in run
        assert "both_epoch" not in run

    def test_validation_within_an_epoch(self, recorded, probe_class):
        run = recorded(probe_class(), limit_val_batches=2, val_check_interval=5)
        np.testing.assert_array_equal(run["val_loss"].steps, [4, 9])

    def test_two_validation_loaders(self, recorded, probe_class, make_loader):
        class Two(probe_class):
            def val_dataloader(self):
                return [make_loader(), make_loader(3)]

            def validation_step(self, batch, batch_idx, dataloader_idx=0):
                self.log("score", float(dataloader_idx + 1))

        run = recorded(Two(), limit_val_batches=2)
        assert run["score/dataloader_idx_0"].values == [1.0]
        assert run["score/dataloader_idx_1"].values == [2.0]

    def test_nonfinite_metric_is_kept_and_told(self, recorded, probe_class):
        class Bad(probe_class):
            def validation_step(self, batch, batch_idx):
                self.log("val_acc", math.inf)

        with pytest.warns(UserWarning, match="val_acc is not finite"):
            run = recorded(Bad(), limit_val_batches=1, max_epochs=2)
        np.testing.assert_array_equal(run["val_acc"].values, [math.inf, math.inf])
        assert [(i.key, i.kind.value) for i in run.incidents] == [("val_acc", "nonfinite")]

    def test_a_metric_under_the_name_of_a_signal_does_not_double_it(self, recorded, probe_class):
        class Same(probe_class):
            def training_step(self, batch, batch_idx):
                loss = super().training_step(batch, batch_idx)
                self.log("train/loss", loss + 5, on_step=False, on_epoch=True)
                return loss

        module = Same()
        run = recorded(module)
        np.testing.assert_allclose(run["train/loss"].values, module.losses, rtol=1e-6)


class TestManualOptimization:
    def test_two_optimizers_each_under_its_own_keys(self, recorded, make_loader, plain_norm, probe_class):
        class Two(probe_class):
            automatic_optimization = False

            def __init__(self):
                super().__init__()
                self.other = nn.Linear(6, 2)
                self.seen = {0: [], 1: []}

            def configure_optimizers(self):
                first = torch.optim.SGD(self.net.parameters(), lr=0.1)
                return first, torch.optim.Adam(self.other.parameters(), lr=0.01)

            def optimizer_step(self, *args, **kwargs):
                raise AssertionError("automatic only")

            def on_before_optimizer_step(self, optimizer):
                pass

            def training_step(self, batch, batch_idx):
                x, y = batch
                for index, part in enumerate((self.net, self.other)):
                    optimizer = self.optimizers()[index]
                    optimizer.zero_grad()
                    loss = nn.functional.cross_entropy(part(x), y)
                    self.manual_backward(loss)
                    gradients = [p.grad for p in part.parameters()]
                    unclipped = plain_norm(gradients)
                    if index == 1:
                        self.clip_gradients(optimizer, gradient_clip_val=0.01, gradient_clip_algorithm="norm")
                    before = [p.detach().clone() for p in part.parameters()]
                    optimizer.step()
                    update = plain_norm([p - q for p, q in zip(part.parameters(), before, strict=True)])
                    self.seen[index].append((loss.item(), unclipped, plain_norm(gradients), update))

        module = Two()
        run = recorded(module, max_epochs=2)
        for index in (0, 1):
            suffix = f"/optimizer_{index}"
            loss, before, after, update = np.array(module.seen[index]).T
            np.testing.assert_array_equal(run["train/loss" + suffix].steps, np.arange(24) * 2 + index)
            np.testing.assert_allclose(run["train/loss" + suffix].values, loss, rtol=1e-6)
            np.testing.assert_allclose(run["grad/norm" + suffix].values, before, rtol=1e-5)
            np.testing.assert_allclose(run["update/norm" + suffix].values, update, rtol=1e-4)
            if index == 1:
                np.testing.assert_allclose(run["grad/norm_clipped" + suffix].values, after, rtol=1e-5)
        assert "grad/norm_clipped/optimizer_0" not in run
        assert run.vectors("grad/layer_norms/optimizer_1")[2] == ("other.weight", "other.bias")
        assert "train/loss" not in run

    def test_several_steps_and_accumulation_within_a_batch(self, recorded, probe_class):
        class Many(probe_class):
            automatic_optimization = False

            def training_step(self, batch, batch_idx):
                optimizer = self.optimizers()
                x, y = batch
                for _ in range(3):
                    optimizer.zero_grad()
                    losses = [nn.functional.cross_entropy(self.net(part), y[: len(part)]) for part in (x[:2], x[2:])]
                    for loss in losses:
                        self.manual_backward(loss)
                    optimizer.step()
                    self.losses.append(sum(loss.item() for loss in losses) / 2)

        module = Many()
        run = recorded(module)
        np.testing.assert_array_equal(run["train/loss"].steps, np.arange(36))
        np.testing.assert_allclose(run["train/loss"].values, module.losses, rtol=1e-6)
        np.testing.assert_allclose(run["grad/norm"].values, module.norms, rtol=1e-5)


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"flush_every_n_steps": 0}, "flush_every_n_steps must be"),
            ({"strided_every_n_steps": 2.5}, "strided_every_n_steps must be"),
            ({"monitor": "val_loss", "mode": "lowest"}, "mode must be 'min' or 'max'"),
            ({"monitor": "val_loss"}, "monitor and mode go together"),
        ],
    )
    def test_bad_arguments_are_refused_at_once(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            StabilityMonitor(**arguments)

    def test_what_takes_a_pass_over_all_parameters_is_measured_at_a_stride(self, recorded, probe_class):
        module = probe_class()
        run = recorded(module, monitor=StabilityMonitor(strided_every_n_steps=5, flush_every_n_steps=4), max_epochs=2)
        for key in ("update/norm", "update/ratio"):
            np.testing.assert_array_equal(run[key].steps, [0, 5, 10, 15, 20])
        np.testing.assert_allclose(run["update/norm"].values, module.update_norms[::5], rtol=1e-5)
        np.testing.assert_array_equal(run.vectors("grad/layer_norms")[0], [0, 5, 10, 15, 20])
        assert len(run["grad/norm"].steps) == 24

    def test_without_per_layer_norms(self, recorded, probe_class):
        run = recorded(probe_class(), monitor=StabilityMonitor(per_layer=False))
        assert all(not spec.names for spec in run.manifest.signals)
        assert "grad/norm" in run

    def test_manifest(self, recorded, probe_class, monkeypatch):
        monkeypatch.setenv("PL_GLOBAL_SEED", "0")
        monitor = StabilityMonitor(group="mine", monitor="val_acc", mode="max")
        manifest = recorded(probe_class(), monitor=monitor).manifest
        assert (manifest.seed, manifest.group, manifest.monitor, manifest.mode) == (0, "mine", "val_acc", "max")
        assert manifest.device == "cpu"
        assert manifest.packages["torch"] == torch.__version__

    def test_checkpoint_decides_the_metric(self, recorded, probe_class):
        checkpoint = ModelCheckpoint(monitor="val_loss", mode="min")
        run = recorded(probe_class(), checkpoint, limit_val_batches=1, enable_checkpointing=True)
        assert (run.manifest.monitor, run.manifest.mode) == ("val_loss", "min")

    def test_state_is_plain(self, make_trainer, probe_class, tmp_path):
        trainer = make_trainer(StabilityMonitor(), limit_val_batches=0)
        trainer.fit(probe_class())
        trainer.save_checkpoint(tmp_path / "x.ckpt")
        states = torch.load(tmp_path / "x.ckpt", weights_only=True)["callbacks"]
        (state,) = [state for key, state in states.items() if key.startswith("StabilityMonitor")]
        assert state["step"] == 12
        assert json.dumps(state["journal"]["watch"])
