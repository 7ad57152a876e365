"""`SeedSpread` by value: siblings with known curves, and a seed whose curve is known too."""

import json
import math
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger
from torch import nn

from stabilimeter import SeedSpread, StabilityMonitor, read_run
from stabilimeter.callbacks.seeds.outliers import SeedOutliers
from stabilimeter.records.events.log import read_event_log
from stabilimeter.records.manifest import RECORD_DIR, Manifest, RunStatus
from stabilimeter.records.writer import RunWriter
from stabilimeter.stats.incident import Incident, Kind
from stabilimeter.stats.intervals import wilson_interval
from stabilimeter.stats.seed_place import outlier_p

STEPS = 24


def curve(scale, n=STEPS):
    return scale * np.linspace(3, 1, n)


def sibling(folder, seed, losses, status=RunStatus.COMPLETED, metrics=None):
    writer = RunWriter(folder / f"seed={seed}", Manifest(seed=seed, group="g"))
    steps = np.arange(len(losses))
    writer.write_block(["train/loss"], steps, np.asarray(losses)[:, None], 1e9 + steps)
    for step, value in (metrics or {}).items():
        writer.write_scalars(step, {"val_acc": value})
    writer.flush()
    if status is not None:
        writer.close(status, last_step=len(losses) - 1)
    return writer


@pytest.fixture
def scripted(probe_class):
    """A module whose loss at step s is ``losses[s]``, and whose validation logs ``accuracy``."""

    def make(losses, accuracy=0.5):
        class Scripted(probe_class):
            def training_step(self, batch, batch_idx):
                loss = nn.functional.cross_entropy(self.net(batch[0]), batch[1])
                return loss * 0 + float(losses[self.global_step])

            def validation_step(self, batch, batch_idx):
                self.log("val_acc", torch.tensor(accuracy))

        return Scripted()

    return make


@pytest.fixture
def fit(make_trainer, tmp_path):
    def run(module, *others, ckpt_path=None, **kwargs):
        folder = tmp_path / "seed=0"
        monitor = StabilityMonitor(flush_every_n_steps=4, group="g", seed=0)
        spread = SeedSpread(every_n_seconds=0, level_steps=3)
        trainer = make_trainer(monitor, spread, *others, default_root_dir=folder, max_epochs=2, **kwargs)
        trainer.fit(module, ckpt_path=ckpt_path)
        return folder

    return run


def spread_of(folder):
    log = read_event_log(list((folder / RECORD_DIR / "seeds").glob("*tfevents*")))
    return {
        key.removeprefix("seeds/"): dict(zip(p.steps.tolist(), p.values.tolist(), strict=True))
        for key, p in log.scalars.items()
    }


class TestValues:
    def test_where_a_seed_lies(self, fit, scripted, tmp_path):
        scales = {1: 1.0, 2: 1.1, 3: 0.9, 4: 1.2}
        for seed, scale in scales.items():
            sibling(tmp_path, seed, curve(scale), metrics={11: 0.6 + seed / 100, 23: 0.8 + seed / 100})
        logged = spread_of(fit(scripted(curve(1.05), accuracy=0.835)))
        step = max(logged["train/loss/median"])
        assert step == 23
        # The level is the median of the last three steps: that of step 22.
        there = np.array([curve(scale)[22] for scale in scales.values()])
        assert logged["train/loss/low"][step] == pytest.approx(there.min(), rel=1e-6)
        assert logged["train/loss/high"][step] == pytest.approx(there.max(), rel=1e-6)
        assert logged["train/loss/median"][step] == pytest.approx(np.median(there), rel=1e-6)
        own = curve(1.05)[22]
        mad = np.median(np.abs(there - np.median(there)))
        assert logged["train/loss/z"][step] == pytest.approx((own - np.median(there)) / (1.4826 * mad), abs=1e-4)
        assert (logged["train/loss/rank"][step], logged["train/loss/n"][step]) == (3, 4)
        # Accuracy: 0.81, 0.82, 0.83, 0.84, and higher is better, as the name says.
        assert logged["val_acc/median"][step] == pytest.approx(0.825)
        assert logged["val_acc/rank"] == {11: 1, 23: 2}
        assert sorted(logged["train/loss/n"]) == [3, 7, 11, 15, 19, 23]
        assert logged["chance_of_failing"][step] == 0
        assert logged["chance_of_failing/high"][step] == pytest.approx(wilson_interval(0, 4)[1])

    def test_siblings_of_other_lengths(self, fit, scripted, tmp_path):
        sibling(tmp_path, 1, curve(1.0, 100)[:100])
        sibling(tmp_path, 2, curve(1.0)[:10], RunStatus.FAILED)
        sibling(tmp_path, 3, curve(1.0)[:2], RunStatus.FAILED)
        logged = spread_of(fit(scripted(curve(1.05))))
        assert logged["train/loss/n"] == {3: 2, 7: 2, 11: 1, 15: 1, 19: 1, 23: 1}
        # Given that a seed has come to step 7, one of two failed; of those that came to step 11 none did.
        assert (logged["chance_of_failing"][7], logged["chance_of_failing"][11]) == (0.5, 0.0)
        low, high = wilson_interval(1, 2)
        assert logged["chance_of_failing/low"][7] == pytest.approx(low)
        assert logged["chance_of_failing/high"][7] == pytest.approx(high)

    def test_the_trainer_s_loggers_get_it_too(self, fit, scripted, tmp_path):
        sibling(tmp_path, 1, curve(1.0))
        logger = CSVLogger(tmp_path / "seed=0", name=None, version="")
        folder = fit(scripted(curve(2.0)), logger=logger, log_every_n_steps=1)
        assert "seeds/train/loss/rank" in (folder / "metrics.csv").read_text().splitlines()[0]

    def test_what_it_logs_is_no_part_of_the_record(self, fit, scripted, tmp_path):
        sibling(tmp_path, 1, curve(1.0))
        assert not [key for key in read_run(fit(scripted(curve(1.0)))) if "seeds" in key]


class TestOutlier:
    SCALES = (1.0, 1.01, 1.02, 0.99, 0.98)

    def test_is_an_incident_that_lasts(self, fit, scripted, tmp_path, caplog):
        for seed, scale in enumerate(self.SCALES, 1):
            sibling(tmp_path, seed, curve(scale))
        losses = np.concatenate([curve(1.0)[:10], np.full(14, 9.0)])
        (found,) = [i for i in read_run(fit(scripted(losses))).incidents if i.kind is Kind.OUTLIER_SEED]
        assert (found.key, found.step, found.end_step, found.value) == ("seeds/train/loss", 11, 23, 9.0)
        there = [scale * 1.0 * np.linspace(3, 1, STEPS)[22] for scale in self.SCALES]
        assert found.baseline == pytest.approx(np.median(there), rel=1e-6)
        assert found.evidence["p"] == pytest.approx(outlier_p(9.0, there), rel=1e-3)
        assert (found.evidence["alarm_rate"], found.evidence["siblings"], found.evidence["rank"]) == (1e-3, 5, 6)
        assert found.evidence["judged_steps"] == 6
        assert caplog.text.count("train/loss is 9 at step 11 where 5 siblings lie between") == 1

    def test_a_seed_like_its_siblings_is_none(self, fit, scripted, tmp_path):
        for seed, scale in enumerate(self.SCALES, 1):
            sibling(tmp_path, seed, curve(scale))
        assert read_run(fit(scripted(curve(1.015)))).incidents == ()

    def test_one_that_comes_back_ends(self, fit, scripted, tmp_path):
        for seed, scale in enumerate(self.SCALES, 1):
            sibling(tmp_path, seed, curve(scale))
        losses = curve(1.0)
        losses[5:13] = 9.0
        found = [i for i in read_run(fit(scripted(losses))).incidents if i.kind is Kind.OUTLIER_SEED]
        assert [(i.step, i.end_step) for i in found] == [(7, 11)]

    def test_failed_siblings_do_not_hide_it(self, fit, scripted, tmp_path):
        for seed, scale in enumerate(self.SCALES, 1):
            sibling(tmp_path, seed, curve(scale))
        for seed in (6, 7):
            sibling(tmp_path, seed, np.full(STEPS, 9.0), RunStatus.FAILED)
        folder = fit(scripted(np.full(STEPS, 9.0)))
        assert [i.key for i in read_run(folder).incidents if i.kind is Kind.OUTLIER_SEED] == ["seeds/train/loss"]
        assert spread_of(folder)["chance_of_failing"][23] == pytest.approx(2 / 5)  # the five most like it

    def test_state_is_plain_and_goes_on(self):
        finding = Incident(Kind.OUTLIER_SEED, 3, 3, 9.0, 1.0, 0.1, "seeds/x")
        outliers = SeedOutliers(1e-3)
        assert outliers.judge("x", finding, 1e-4)[1] is True
        again = SeedOutliers(1e-3)
        again.load_state_dict(json.loads(json.dumps(outliers.state_dict())))
        assert again.judge("x", finding, 1e-5) == (None, False)
        told, is_new = again.judge("x", finding, 0.5)
        assert (told.step, told.evidence["judged_steps"], is_new) == (3, 2, False)


class TestContract:
    def test_needs_a_monitor(self, make_trainer, probe_class):
        with pytest.raises(ValueError, match=r"Trainer\(callbacks=\[StabilityMonitor\(\), SeedSpread\(\)\]\)"):
            make_trainer(SeedSpread()).fit(probe_class())

    @pytest.mark.parametrize(
        "arguments", [{"every_n_seconds": -1}, {"budget_s": math.nan}, {"alarm_rate": 0}, {"level_steps": 0}]
    )
    def test_arguments_are_checked(self, arguments):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            SeedSpread(**arguments)

    def test_a_seed_on_its_own_leaves_nothing(self, fit, scripted, tmp_path):
        assert not (fit(scripted(curve(1.0))) / RECORD_DIR / "seeds").exists()

    def test_fast_dev_run_keeps_nothing(self, make_trainer, probe_class, tmp_path):
        make_trainer(StabilityMonitor(), SeedSpread(every_n_seconds=0), fast_dev_run=2).fit(probe_class())
        assert list(tmp_path.iterdir()) == []

    def test_says_so_where_there_is_no_record(self, make_trainer, probe_class, tmp_path, caplog):
        monitor = StabilityMonitor(dirpath=tmp_path / "a")
        make_trainer(monitor, SeedSpread(every_n_seconds=0, dirpath=tmp_path / "b")).fit(probe_class())
        assert caplog.text.count("SeedSpread: nothing to compare yet: cannot read the manifest") == 1

    def test_before_the_monitor_it_sees_the_same(self, make_trainer, scripted, tmp_path):
        sibling(tmp_path, 1, curve(1.0))
        folder = tmp_path / "seed=0"
        callbacks = [SeedSpread(every_n_seconds=1000, level_steps=3), StabilityMonitor(group="g", seed=0)]
        make_trainer(*callbacks, default_root_dir=folder, max_epochs=2).fit(scripted(curve(2.0)))
        assert spread_of(folder)["train/loss/n"] == {23: 1}

    def test_weights_and_random_states_are_untouched(self, fit, probe_class, make_trainer, tmp_path):
        sibling(tmp_path, 1, curve(1.0))
        results = []
        for spread in (True, False):
            torch.manual_seed(3)
            module = probe_class()
            if spread:
                fit(module)
            else:
                make_trainer(max_epochs=2).fit(module)
            results.append((torch.get_rng_state(), [p.detach().clone() for p in module.parameters()]))
        assert torch.equal(results[0][0], results[1][0])
        assert all(torch.equal(a, b) for a, b in zip(results[0][1], results[1][1], strict=True))

    @pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch")
    def test_resumed_is_as_if_uninterrupted(self, fit, scripted, tmp_path):
        class Save(Callback):
            def __init__(self, path, dies):
                self.path, self.dies = path, dies

            def on_train_batch_end(self, trainer, *_):
                if trainer.global_step == 16:
                    trainer.save_checkpoint(self.path)
                if trainer.global_step == 20 and self.dies:
                    raise ZeroDivisionError

        for seed, scale in enumerate(TestOutlier.SCALES, 1):
            sibling(tmp_path, seed, curve(scale))
        losses = np.concatenate([curve(1.0)[:10], np.full(14, 9.0)])
        folder = fit(scripted(losses), Save(tmp_path / "a.ckpt", dies=False))
        expected = spread_of(folder), read_run(folder).incidents
        folder.rename(tmp_path / "aside")
        with pytest.raises(ZeroDivisionError):
            fit(scripted(losses), Save(tmp_path / "b.ckpt", dies=True))
        fit(scripted(losses), ckpt_path=tmp_path / "b.ckpt")
        assert spread_of(folder) == expected[0]
        assert read_run(folder).incidents == expected[1]
        assert len(expected[1]) == 2  # the loss that jumps, and the seed that is far from its siblings


def test_two_processes_find_each_other_while_they_train(tmp_path):
    program = Path(__file__).with_name("seed_program.py")
    processes = [
        subprocess.Popen([sys.executable, program, tmp_path, str(seed), str(scale)], stderr=subprocess.PIPE, text=True)
        for seed, scale in ((0, 1.0), (1, 2.0))
    ]
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    for seed, other, rank in ((0, 2.0, 1), (1, 1.0, 2)):
        logged = spread_of(tmp_path / f"seed={seed}")
        assert len(logged["train/loss/n"]) >= 3  # not only at the end
        assert set(logged["train/loss/rank"].values()) == {rank}
        for step, median in logged["train/loss/median"].items():
            level = np.median([other * (3 - at / 50) for at in range(max(0, step - 4), step + 1)])
            assert median == pytest.approx(level, rel=1e-6)


def test_a_sibling_in_the_way_of_being_written_never_stops_training(fit, scripted, tmp_path):
    sibling(tmp_path, 1, curve(1.0))
    folder = tmp_path / "seed=1" / RECORD_DIR
    events = next(folder.glob("*tfevents*"))
    whole, manifest = events.read_bytes(), (folder / "manifest.json").read_bytes()
    rng = np.random.default_rng(0)
    over = threading.Event()

    def meddle():
        while not over.is_set():
            events.write_bytes(whole[: rng.integers(len(whole))])
            (folder / "manifest.json").write_bytes(manifest[: rng.integers(len(manifest))])
            time.sleep(0.001)
            events.unlink()

    thread = threading.Thread(target=meddle)
    thread.start()
    try:
        path = fit(scripted(curve(1.0)))
    finally:
        over.set()
        thread.join()
    assert read_run(path).status is RunStatus.COMPLETED
