"""Evaluations judged by hand-made outcomes, through whole fits."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from stabilimeter import CheckpointRegression, StabilityMonitor
from stabilimeter.records.checkpoint_log import Comparison, ExampleChanges, read_checkpoints
from stabilimeter.records.events.log import read_event_log
from stabilimeter.records.run import read_run
from stabilimeter.stats.checkpoint_verdict import Verdict

N = 20
RIGHT = np.zeros((6, N), bool)
RIGHT[0, :10] = True
RIGHT[1, :18] = True  # 8 won: p = 2 / 2**8
RIGHT[2, 1:18] = True  # 1 lost: nothing
RIGHT[3, 10:18] = True  # 10 lost against the best: 3 * 2 / 2**10
RIGHT[4] = RIGHT[1]
RIGHT[5, :19] = True


class Scripted(LightningModule):
    """Evaluations come out as written: row k of ``right`` after step k, whatever the weights."""

    def __init__(self, right=RIGHT, losses=None, keys=("correct", "prediction", "slice"), loaders=1):
        super().__init__()
        self.net = nn.Linear(3, 2)
        self.right, self.losses, self.keys, self.loaders = torch.tensor(right), losses, keys, loaders

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        (index,) = batch
        right = self.right[self.count][index]
        self.log("acc", right.float().mean(), batch_size=len(index), on_epoch=True)
        outputs = {
            "correct": right,
            "prediction": right.long(),
            "slice": ["even" if i % 2 == 0 else "odd" for i in index],
        }
        if self.losses is not None:
            losses = torch.tensor(self.losses[self.count])[index]
            outputs["loss"] = losses
            self.log("loss", losses.mean(), batch_size=len(index))
        return {"index": index, **{key: outputs[key] for key in self.keys}}

    @property
    def count(self):
        return max(self.trainer.global_step - 1, 0)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def train_dataloader(self):
        x = torch.randn(24, 3, generator=torch.Generator().manual_seed(0))
        return DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), batch_size=4)

    def val_dataloader(self):
        one = DataLoader(TensorDataset(torch.arange(N)), batch_size=8)
        return one if self.loaders == 1 else [one] * self.loaders


@pytest.fixture
def judged(make_trainer, tmp_path):
    """Fit, and read the evaluations back."""

    def fit(module, *others, regression=None, steps=6, **kwargs):
        trainer = make_trainer(
            regression or CheckpointRegression("acc", "max"), *others, max_epochs=-1, max_steps=steps,
            val_check_interval=1, **kwargs,
        )  # fmt: skip
        trainer.fit(module)
        return read_checkpoints(tmp_path / "stability")[0].evaluations

    return fit


def test_verdicts_flips_and_forgetting_by_hand(judged):
    found = judged(Scripted())
    assert [evaluation.step for evaluation in found] == list(range(6))
    assert [evaluation.verdict and evaluation.verdict.value for evaluation in found] == [
        None, "better", "same", "worse", "same", "same",
    ]  # fmt: skip
    assert found[1].against_best == Comparison(
        0, Verdict.BETTER, 0.4, pytest.approx(math.sqrt(0.24 / 19)), 2 / 2**8, "mcnemar"
    )
    assert found[3].against_best.step == 1
    assert found[3].against_best.p == pytest.approx(3 * 2 / 2**10)  # the best of three
    assert found[3].against_previous.step == 2
    assert found[3].against_previous.p == pytest.approx(2 / 2**9)
    assert found[3].drawdown == pytest.approx(0.5)
    assert found[3].examples == ExampleChanges(
        n=20, negative=10, positive=0, churn=9 / 20, forgotten=10, forgetting_events=1 + 9, never_learned=2
    )
    assert found[5].examples.never_learned == 1
    assert found[4].examples.forgetting_events == 10


def test_the_first_that_is_worse_in_a_row_is_said(judged, caplog):
    right = RIGHT[[1, 3, 3, 1, 3, 1]]
    judged(Scripted(right))
    said = [record.getMessage() for record in caplog.records if "CheckpointRegression" in record.getMessage()]
    assert [line.split(":")[1] for line in said] == [" acc 0.4 at step 1", " acc 0.4 at step 4"]
    assert "worse than the best before, of step 0 (by -0.5, p = 0.002, mcnemar); of 20 examples 10 got lost" in said[0]
    caplog.clear()
    judged(Scripted(RIGHT[[1, 2, 1, 2, 1, 5]]))
    assert not any("CheckpointRegression" in record.getMessage() for record in caplog.records)


def test_slices_are_judged_apart(judged):
    right = np.ones((2, N), bool)
    right[1, ::2] = False
    _, second = judged(Scripted(right), steps=2)
    even, odd = second.slices
    assert (even.name, even.n, even.value, even.negative) == ("even", 10, 0.0, 10)
    assert (odd.name, odd.n, odd.value, odd.negative) == ("odd", 10, 1.0, 0)
    assert even.comparison.verdict is Verdict.WORSE
    assert even.comparison.p == pytest.approx(2 * 2 / 2**10)  # Holm over two slices
    assert odd.comparison.verdict is Verdict.SAME


def test_losses_are_judged_where_the_metric_is_to_be_small(judged):
    losses = np.full((2, N), 1.0, np.float32)
    losses[1] += np.linspace(0.1, 0.2, N, dtype=np.float32)
    module = Scripted(losses=losses, keys=("correct", "loss"))
    _, second = judged(module, regression=CheckpointRegression("loss", "min"), steps=2)
    assert (second.against_best.test, second.verdict) == ("sign flip", Verdict.WORSE)
    assert second.against_best.p == pytest.approx(2 / 2**N)
    assert second.against_best.difference == pytest.approx(0.15, abs=1e-6)
    assert second.examples.positive == 8


def test_what_to_judge_by_can_be_chosen(judged):
    module = Scripted(losses=np.ones((2, N), np.float32), keys=("correct", "loss"))
    _, second = judged(module, regression=CheckpointRegression("loss", "min", judge_by="correct"), steps=2)
    assert (second.against_best.test, second.verdict) == ("mcnemar", Verdict.BETTER)
    with pytest.raises(ValueError, match="judge_by is 'score', but validation_step returned correct"):
        judged(Scripted(keys=("correct",)), regression=CheckpointRegression("acc", "max", judge_by="score"))


def test_two_dataloaders_are_two_sets_of_examples(judged):
    module = Scripted(np.tile(RIGHT[:2], (1, 1)), keys=("correct",), loaders=2)
    found = judged(module, regression=CheckpointRegression("acc/dataloader_idx_1", "max"), steps=2)
    assert found[1].examples.n == N
    assert found[1].slices == ()
    assert found[1].against_best.p == 2 / 2**8


def test_each_dataloader_is_a_slice_of_a_metric_over_all(judged):
    class OverAll(Scripted):
        def on_validation_epoch_end(self):
            self.log("overall", float(self.right[self.count].float().mean()))

    found = judged(OverAll(keys=("correct",), loaders=2), regression=CheckpointRegression("overall", "max"), steps=2)
    assert found[1].examples.n == 2 * N
    assert [(item.name, item.n) for item in found[1].slices] == [("dataloader 0", N), ("dataloader 1", N)]


def test_without_outcomes_the_noise_of_the_series_decides(judged):
    rng = np.random.default_rng(0)
    right = np.zeros((14, N), bool)
    for row in right[:13]:
        row[: 15 + rng.integers(0, 3)] = True
    right[13, :2] = True
    found = judged(Scripted(right, keys=()), steps=14)
    assert [evaluation.verdict for evaluation in found[:5]] == [None] * 5  # five are needed to know the noise
    assert {evaluation.verdict for evaluation in found[5:13]} == {Verdict.SAME}
    assert (found[13].verdict, found[13].against_best.test) == (Verdict.WORSE, "series noise")
    assert found[13].examples is None


def test_siblings_tell_the_noise_where_there_are_some(make_trainer, tmp_path):
    rng = np.random.default_rng(1)

    def fit(seed, right, steps):
        folder = tmp_path / f"seed={seed}"
        trainer = make_trainer(
            StabilityMonitor(group="same", seed=seed), CheckpointRegression("acc", "max"), max_epochs=-1,
            max_steps=steps, val_check_interval=1, default_root_dir=folder,
        )  # fmt: skip
        trainer.fit(Scripted(right, keys=()))
        return read_run(folder).checkpoints.evaluations

    for seed in range(3):
        fit(seed, np.arange(N) < rng.integers(13, 16, (8, 1)), 8)
    ordinary = np.arange(N) < np.array([[14], [14], [15], [13]])
    found = fit(3, ordinary, 4)
    assert [evaluation.verdict for evaluation in found[1:]] == [Verdict.SAME] * 3
    assert {evaluation.against_best.test for evaluation in found[1:]} == {"seed noise"}
    assert fit(4, np.arange(N) < np.array([[14], [14], [14], [0]]), 4)[3].verdict is Verdict.WORSE


def test_a_metric_that_is_not_finite_is_worse_and_not_healthy(judged):
    class Breaks(Scripted):
        def on_validation_epoch_end(self):
            self.log("m", math.nan if self.count == 1 else 0.5)

    found = judged(Breaks(keys=()), regression=CheckpointRegression("m", "max"), steps=3)
    assert [evaluation.verdict for evaluation in found] == [None, Verdict.WORSE, None]
    assert [evaluation.unhealthy for evaluation in found] == [(), ("m is nan",), ()]
    assert found[2].against_previous.verdict is Verdict.BETTER


@pytest.mark.filterwarnings("ignore:Checkpoint directory", "ignore:You.re resuming from a checkpoint")
def test_interrupted_and_resumed_is_uninterrupted(make_trainer, tmp_path):
    def fit(folder, steps, **resume):
        saver = ModelCheckpoint(folder / "ckpt", save_last=True, every_n_epochs=1)
        trainer = make_trainer(
            CheckpointRegression("acc", "max"), saver, default_root_dir=folder, max_epochs=-1, max_steps=steps,
            val_check_interval=1, enable_checkpointing=True, num_sanity_val_steps=0,
        )  # fmt: skip
        trainer.fit(Scripted(), **resume)

    whole, parts = tmp_path / "whole", tmp_path / "parts"
    fit(whole, 6)
    fit(parts, 3)
    with (parts / "stability" / "checkpoints.jsonl").open("a") as file:
        file.write('{"kind": "evaluation", "step": 3, "torn')
    fit(parts, 6, ckpt_path=parts / "ckpt" / "last.ckpt")
    one, other = (read_checkpoints(folder / "stability") for folder in (whole, parts))
    assert one[1] is other[1] is None

    def timeless(evaluations):
        return [replace(evaluation, wall_time=0.0) for evaluation in evaluations]

    assert timeless(one[0].evaluations) == timeless(other[0].evaluations)
    lines = (parts / "stability" / "checkpoints.jsonl").read_text().splitlines()
    assert sum('"kind": "evaluation"' in line for line in lines) == 6  # none told twice


@pytest.mark.filterwarnings("ignore:Checkpoint directory", "ignore:You.re resuming from a checkpoint")
def test_an_evaluation_after_the_checkpoint_at_its_step_is_recalled_from_the_record(make_trainer, tmp_path):
    def fit(steps, **resume):
        saver = ModelCheckpoint(tmp_path / "ckpt", filename="{step}", every_n_train_steps=3, save_top_k=-1)
        trainer = make_trainer(
            CheckpointRegression("acc", "max"), saver, max_epochs=-1, max_steps=steps, val_check_interval=1,
            enable_checkpointing=True, num_sanity_val_steps=0,
        )  # fmt: skip
        trainer.fit(Scripted(), **resume)
        return read_checkpoints(tmp_path / "stability")[0].evaluations

    whole = fit(5)
    resumed = fit(5, ckpt_path=tmp_path / "ckpt" / "step=3.ckpt")  # saved before the third evaluation
    assert [evaluation.step for evaluation in resumed] == [0, 1, 2, 3, 4]
    assert resumed[3].against_best == whole[3].against_best  # p knows of three candidates
    assert resumed[3].drawdown == whole[3].drawdown
    assert resumed[3].against_previous.step == 1  # the third is not known example by example


def test_a_second_fit_goes_on_and_a_new_one_begins_anew(make_trainer, tmp_path):
    module, regression = Scripted(), CheckpointRegression("acc", "max")
    trainer = make_trainer(regression, max_epochs=-1, max_steps=2, val_check_interval=1)
    trainer.fit(module)
    trainer.fit_loop.epoch_loop.max_steps = 4
    trainer.fit(module)
    found = read_checkpoints(tmp_path / "stability")[0].evaluations
    assert [evaluation.step for evaluation in found] == [0, 1, 2, 3]
    assert found[3].against_best.step == 1
    make_trainer(CheckpointRegression("acc", "max"), max_epochs=-1, max_steps=1, val_check_interval=1).fit(Scripted())
    assert [e.step for e in read_checkpoints(tmp_path / "stability")[0].evaluations] == [0]


def test_fast_dev_run_and_validation_alone_keep_nothing(make_trainer, tmp_path):
    make_trainer(CheckpointRegression("acc", "max"), fast_dev_run=True).fit(Scripted())
    make_trainer(CheckpointRegression("acc", "max")).validate(Scripted(), verbose=False)
    assert list(tmp_path.iterdir()) == []


def test_weights_and_random_states_are_those_of_a_run_without_it(make_trainer, tmp_path):
    def trained(*callbacks):
        torch.manual_seed(5)
        module = Scripted()
        module.net = nn.Sequential(nn.Dropout(0.3), nn.Linear(3, 2))
        make_trainer(*callbacks, max_epochs=-1, max_steps=6, val_check_interval=2).fit(module)
        return [*(p.detach().clone() for p in module.parameters()), torch.get_rng_state()]

    bare, with_it = trained(), trained(CheckpointRegression("acc", "max"))
    assert all(torch.equal(a, b) for a, b in zip(bare, with_it, strict=True))


def test_nothing_is_read_from_the_device_within_a_batch(make_trainer, monkeypatch):
    reads = []
    regression = CheckpointRegression("acc", "max")
    add = regression.on_validation_batch_end

    def counted(*args, **kwargs):
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            add(*args, **kwargs)
        reads.extend(event.key for event in profile.key_averages())

    monkeypatch.setattr(regression, "on_validation_batch_end", counted)
    trainer = make_trainer(regression, max_steps=1, val_check_interval=1, num_sanity_val_steps=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(Scripted(keys=("correct", "prediction")))
    assert any("copy" in key for key in reads)  # of the types, on the device
    assert not {"aten::_local_scalar_dense", "aten::item"} & set(reads)


@pytest.mark.parametrize("monitored", [False, True])
@pytest.mark.parametrize("logger", [None, TensorBoardLogger, CSVLogger])
def test_scalars_and_texts_reach_tensorboard_once(make_trainer, tmp_path, monitored, logger):
    made = logger(tmp_path, name="logs", version="v") if logger else False
    monitor = [StabilityMonitor()] if monitored else []
    trainer = make_trainer(
        CheckpointRegression("acc", "max"), *monitor, logger=made, max_epochs=-1, max_steps=4, val_check_interval=1,
        log_every_n_steps=1,
    )  # fmt: skip
    trainer.fit(Scripted())
    folder = tmp_path / "logs" / "v" if logger else tmp_path
    assert (folder / "stability" / "checkpoints.jsonl").exists()
    files = list(folder.rglob("events.out.tfevents.*"))
    holding = [log for file in files if "checkpoint/verdict" in (log := read_event_log([file])).scalars]
    assert len(holding) == (1 if monitored or logger is TensorBoardLogger else 0)
    for log in holding:
        verdicts = log.scalars["checkpoint/verdict"]
        assert (verdicts.steps.tolist(), verdicts.values.tolist()) == ([1, 2, 3], [1.0, 0.0, -1.0])
        np.testing.assert_allclose(log.scalars["checkpoint/drawdown"].values, [0, 0, 0.05, 0.5], atol=1e-6)
        np.testing.assert_allclose(log.scalars["checkpoint/negative_flip_rate"].values, [0, 0.05, 0.5], atol=1e-6)
    if holding:
        assert sum(b"**worse** than the best before, of step 1" in file.read_bytes() for file in files) == 1
    if logger is CSVLogger:
        assert "checkpoint/drawdown" in (folder / "metrics.csv").read_text()


@pytest.mark.parametrize(("change", "message"), [
    ({"index": torch.zeros(8, dtype=torch.long)}, "position in the dataset, not in the batch"),
    ({"index": torch.rand(8)}, "one whole number per example"),
    ({"correct": torch.ones(7)}, r"'correct' of shape \(7,\) beside 'index' of shape \(8,\)"),
    ({"prediction": torch.rand(8)}, "classes or texts"),
    ({"slice": list(range(8)), "index": torch.arange(8) - 3}, "has to lie in"),
])  # fmt: skip
def test_outcomes_that_make_no_sense_are_refused_before_training(make_trainer, change, message):
    class Wrong(Scripted):
        def validation_step(self, batch, batch_idx):
            outputs = super().validation_step(batch, batch_idx)
            return outputs | {key: value[: len(batch[0])] for key, value in change.items()}

    trainer = make_trainer(CheckpointRegression("acc", "max"), num_sanity_val_steps=-1)
    with pytest.raises(ValueError, match=message):
        trainer.fit(Wrong(keys=("correct",)))
    assert trainer.global_step == 0


def test_too_many_slices_are_refused(make_trainer):
    class Wrong(Scripted):
        def validation_step(self, batch, batch_idx):
            return super().validation_step(batch, batch_idx) | {"slice": torch.arange(len(batch[0])) + 8 * batch_idx}

        def val_dataloader(self):
            return DataLoader(TensorDataset(torch.arange(160) % N), batch_size=8)

    class Distinct(Wrong):
        def validation_step(self, batch, batch_idx):
            return super().validation_step(batch, batch_idx) | {"index": torch.arange(8) + 8 * batch_idx}

    with pytest.raises(ValueError, match="160 different values under 'slice'"):
        make_trainer(CheckpointRegression("acc", "max"), num_sanity_val_steps=-1).fit(Distinct(keys=("correct",)))


def test_a_metric_nobody_logs_is_refused_before_training(make_trainer):
    with pytest.raises(MisconfigurationException, match=r"monitor='accuracy'.*did not find.*: acc\. Log it"):
        make_trainer(CheckpointRegression("accuracy", "max")).fit(Scripted())


@pytest.mark.parametrize(("arguments", "message"), [
    ({"mode": "up"}, "mode must be 'min' or 'max', got 'up'"),
    ({"monitor": None}, "monitor must be the name of a logged metric, got None"),
    ({"judge_by": "bleu"}, "judge_by must be one of correct, score, loss or None, got 'bleu'"),
    ({"alpha": 1.0}, r"alpha must lie in \(0, 1\), got 1.0"),
    ({"min_difference": -0.1}, "min_difference must be a number, at least 0, got -0.1"),
])  # fmt: skip
def test_arguments_are_checked_when_it_is_made(arguments, message):
    with pytest.raises(ValueError, match=message):
        CheckpointRegression(**{"monitor": "acc", "mode": "max", **arguments})


def test_a_batch_loss_beside_outcomes_is_no_outcome(judged):
    class Both(Scripted):
        def validation_step(self, batch, batch_idx):
            return super().validation_step(batch, batch_idx) | {"loss": torch.tensor(1.0)}

    assert judged(Both(keys=("correct",)), steps=2)[1].against_best.test == "mcnemar"


def test_other_examples_start_the_forgetting_anew_and_are_compared_where_shared(judged):
    class Fewer(Scripted):
        def validation_step(self, batch, batch_idx):
            shown = batch[0] if self.count != 1 else batch[0][batch[0] % 2 == 0]
            return super().validation_step([shown], batch_idx)

    with pytest.warns(UserWarning, match="other examples than before"):
        found = judged(Fewer(keys=("correct",)), steps=3)
    assert [evaluation.examples.n for evaluation in found] == [N, N // 2, N]
    assert found[1].against_best.p == 2 / 2**4  # 4 of the 8 that are won are shown
    assert [evaluation.examples.never_learned for evaluation in found] == [10, 1, 3]


def test_two_of_them_are_refused(make_trainer):
    both = CheckpointRegression("acc", "max"), CheckpointRegression("loss", "min")
    with pytest.raises(MisconfigurationException, match="takes one CheckpointRegression"):
        make_trainer(*both).fit(Scripted())


def test_broken_weights_are_worse_whatever_the_metric_and_never_the_best(judged):
    class Breaks(Scripted):
        def on_train_batch_start(self, batch, batch_idx):
            for parameter in self.parameters():
                parameter.data.fill_(math.nan if self.trainer.global_step == 1 else 0.1)

    found = judged(Breaks(), steps=3)
    assert [evaluation.verdict for evaluation in found] == [None, Verdict.WORSE, Verdict.SAME]  # p is doubled
    assert found[1].against_best.verdict is Verdict.BETTER
    assert [evaluation.against_best.step for evaluation in found[1:]] == [0, 0]
    assert found[1].unhealthy[0].startswith("weights not finite: net.weight, net.bias")
