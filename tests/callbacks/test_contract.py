"""What a Trainer does, it does with each of our callbacks too, and with all of them: same weights, same ending."""

import inspect
import os
import pkgutil
import signal
from importlib import import_module

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import nn

import stabilimeter.callbacks
from stabilimeter import CheckpointRegression, SeedSpread, SpikeGuard, StabilityMonitor
from stabilimeter.callbacks.catalogue import CATALOGUE
from stabilimeter.callbacks.progress import RunProgress
from stabilimeter.callbacks.separate_seeds import SeparateSeeds
from stabilimeter.callbacks.state_digest import StateDigest

MAKERS = {
    "StabilityMonitor": lambda folder: [StabilityMonitor(list(CATALOGUE), strided_every_n_steps=3)],
    "SpikeGuard": lambda folder: [SpikeGuard(action="rollback")],
    "SeedSpread": lambda folder: [StabilityMonitor(), SeedSpread(every_n_seconds=1e-3)],
    "CheckpointRegression": lambda folder: [CheckpointRegression("val_loss", "min")],
    "SeparateSeeds": lambda folder: [SeparateSeeds(init=1, order=2, noise=3)],
    "RunProgress": lambda folder: [RunProgress()],
    "StateDigest": lambda folder: [StateDigest(folder / "digests")],
}
TOGETHER = ("SeparateSeeds", "RunProgress", "StateDigest", "SpikeGuard", "SeedSpread", "CheckpointRegression")


def test_every_callback_of_the_package_is_here():
    found = set()
    for info in pkgutil.iter_modules(stabilimeter.callbacks.__path__, "stabilimeter.callbacks."):
        for name, item in inspect.getmembers(import_module(info.name), inspect.isclass):
            if issubclass(item, Callback) and item.__module__ == info.name:
                found.add(name)
    assert found == set(MAKERS)
    assert {name for name in stabilimeter.__all__ if name in found} == set(MAKERS) - {
        "SeparateSeeds",
        "StateDigest",
        "RunProgress",
    }


@pytest.fixture(params=[*MAKERS, "together"])
def make_callbacks(request, tmp_path):
    """Fresh callbacks: one (with what it needs), or all."""
    names = TOGETHER if request.param == "together" else (request.param,)
    return lambda: [callback for name in names for callback in MAKERS[name](tmp_path)]


@pytest.fixture
def module_class(probe_class):
    class Complete(probe_class):
        """Data that depends on epoch and batch only, so that a resumed run sees what an uninterrupted one does."""

        def __init__(self):
            torch.manual_seed(1)
            super().__init__(lambda p: torch.optim.AdamW(p, lr=0.01))

        def training_step(self, batch, batch_idx):
            generator = torch.Generator().manual_seed(self.current_epoch * 100 + batch_idx)
            x = torch.randn(4, 6, generator=generator)
            return nn.functional.cross_entropy(self.net(x), (x[:, 0] > 0).long())

        def test_step(self, batch, batch_idx):
            self.log("test_loss", nn.functional.cross_entropy(self.net(batch[0]), batch[1]))

        def predict_step(self, batch, batch_idx):
            return self.net(batch[0])

        def test_dataloader(self):
            return self.val_dataloader()

        def predict_dataloader(self):
            return self.val_dataloader()

    return Complete


def weights(module):
    return [p.detach().clone() for p in module.parameters()]


def new_trainer(make_trainer, mine, *others, **kwargs):
    has_bar = any(isinstance(callback, ProgressBar) for callback in mine)
    return make_trainer(*mine, *others, **{"max_epochs": 2, "enable_progress_bar": has_bar, **kwargs})


@pytest.fixture
def same(make_trainer, make_callbacks, module_class, tmp_path):
    """Train with and without callbacks, in a way that `train(fit, module)` describes, and compare the weights."""

    def check(train, callbacks=None):
        outcomes = []
        for name, mine in (("bare", []), ("ours", make_callbacks() if callbacks is None else callbacks)):
            module = module_class()

            def trainer(*others, name=name, mine=mine, **kwargs):
                return new_trainer(make_trainer, mine, *others, **{"default_root_dir": tmp_path / name, **kwargs})

            train(trainer, module)
            outcomes.append(weights(module))
        assert all(torch.equal(a, b) for a, b in zip(*outcomes, strict=True))

    return check


class At(Callback):
    """Does something at the end of a batch, once."""

    def __init__(self, step, what):
        self.step, self.what = step, what

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            self.what(trainer)


def boom(_):
    raise ZeroDivisionError("boom")


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"num_sanity_val_steps": 2, "val_check_interval": 5},
        {"accumulate_grad_batches": 5, "gradient_clip_val": 0.1},
    ],
    ids=["no logger", "sanity check", "accumulated and clipped"],
)
def test_fit(same, kwargs):
    same(lambda trainer, module: trainer(**kwargs).fit(module))


def test_two_loggers(same, tmp_path):
    def train(trainer, module):
        loggers = [CSVLogger(tmp_path, name="table"), TensorBoardLogger(tmp_path, name="board")]
        trainer(logger=loggers, log_every_n_steps=4).fit(module)

    same(train)


def test_fit_twice(same, make_callbacks):
    callbacks = make_callbacks()

    def train(trainer, module):
        trainer().fit(module)
        trainer(max_epochs=1).fit(module)

    same(train, callbacks)
    same(train, callbacks)


def test_fast_dev_run(same, tmp_path):
    same(lambda trainer, module: trainer(fast_dev_run=2).fit(module))
    assert [path for path in files(tmp_path) if "digests" not in path.parts] == []


def test_nothing_to_train(same, tmp_path):
    same(lambda trainer, module: trainer(limit_train_batches=0).fit(module))
    assert [path for path in files(tmp_path) if "stability" in path.parts] == []


def test_without_training(same, tmp_path):
    def train(trainer, module):
        used = trainer()
        used.validate(module, verbose=False)
        used.test(module, verbose=False)
        used.predict(module)

    same(train)
    assert files(tmp_path) == []


@pytest.mark.parametrize("step", [1, 5])
def test_exception(same, step):
    def train(trainer, module):
        with pytest.raises(ZeroDivisionError, match="boom"):
            trainer(At(step, boom)).fit(module)

    same(train)


def test_ctrl_c(same):
    def train(trainer, module):
        handler = signal.getsignal(signal.SIGINT)
        with pytest.raises(SystemExit):
            trainer(At(5, lambda _: os.kill(os.getpid(), signal.SIGINT))).fit(module)
        signal.signal(signal.SIGINT, handler)

    same(train)


@pytest.mark.parametrize("step", [12, 17])
@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_resume(same, make_callbacks, make_trainer, module_class, tmp_path, step):
    """Saved at a step, lost two steps later, resumed by a new Trainer with new callbacks: nothing has happened."""
    path = tmp_path / "saved.ckpt"
    whole, lost, resumed = module_class(), module_class(), module_class()
    make_trainer(max_epochs=3, default_root_dir=tmp_path / "whole").fit(whole)

    def trainer(*others):
        return new_trainer(make_trainer, make_callbacks(), *others, max_epochs=3)

    with pytest.raises(ZeroDivisionError):
        trainer(At(step, lambda trainer: trainer.save_checkpoint(path)), At(step + 2, boom)).fit(lost)
    trainer().fit(resumed, ckpt_path=path)
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(resumed), strict=True))
