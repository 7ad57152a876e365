"""Every built-in experiment, with every signal and every callback that acts on training: it changes nothing."""

# ruff: noqa: NPY002 (the global state of NumPy is what is under test)

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import get_class, instantiate
from lightning.pytorch import Callback

import stabilimeter.multirun  # noqa: F401  (the resolvers of the configs)
from stabilimeter import CheckpointRegression, SeedSpread, SpikeGuard, StabilityMonitor
from stabilimeter.callbacks.catalogue import CATALOGUE
from stabilimeter.records.run import read_run

CONF = Path(__file__).parents[2] / "conf"
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml") if path.stem != "own")


@pytest.fixture(params=EXPERIMENTS)
def config(request):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("seed_sweep", [f"experiment={request.param}", "seed=0", "datamodule.batch_size=8"])


def test_all_experiments_are_found():
    assert EXPERIMENTS == ["char_gpt", "digits_cnn", "tabular_mlp"]


def callbacks(config):
    monitor, mode = config.callbacks.stability.monitor, config.callbacks.stability.mode
    return [
        StabilityMonitor(list(CATALOGUE), flush_every_n_steps=3, strided_every_n_steps=2),
        SpikeGuard(action="rollback", snapshot_every_n_steps=2),
        SeedSpread(every_n_seconds=1e-3),
        CheckpointRegression(monitor, mode),
    ]


def arguments(config):
    clip = config.trainer.get("gradient_clip_val")
    return {
        "max_steps": 7,
        "max_epochs": -1,
        "limit_val_batches": 1,
        "val_check_interval": 6,
        "gradient_clip_val": clip,
    }


@pytest.mark.filterwarnings("ignore:.*val_check_interval.*")
def test_weights_optimizer_and_random_states_are_those_of_a_bare_run(make_trainer, config, tmp_path):
    outcomes = []
    for mine in ([], callbacks(config)):
        torch.manual_seed(0)
        np.random.seed(0)
        random.seed(0)
        module = instantiate(config.model)
        trainer = make_trainer(*mine, accumulate_grad_batches=2, **arguments(config))
        trainer.fit(module, datamodule=instantiate(config.datamodule))
        moments = [v for s in trainer.optimizers[0].state.values() for v in s.values()]
        metrics = {key: value.item() for key, value in trainer.callback_metrics.items()}
        randoms = torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()
        outcomes.append(([*module.state_dict().values(), *moments], (metrics, randoms)))
    (bare, bare_rest), (ours, our_rest) = outcomes
    assert len(bare) == len(ours) > 8
    assert all(torch.equal(a, b) for a, b in zip(bare, ours, strict=True))
    assert bare_rest == our_rest
    assert read_run(tmp_path)["hessian/max_eigenvalue"].steps.tolist() == [2]


class At(Callback):
    def __init__(self, step, what):
        self.step, self.what = step, what

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            self.what(trainer)


def boom(_):
    raise ZeroDivisionError


@pytest.mark.parametrize("stop_at", [1, 4])
@pytest.mark.filterwarnings("ignore:You're resuming from a checkpoint that ended before the epoch ended")
@pytest.mark.filterwarnings("ignore:.*val_check_interval.*")
def test_interrupted_and_resumed_leaves_the_record_of_an_uninterrupted_run(make_trainer, config, tmp_path, stop_at):
    data = instantiate(config.datamodule)
    data.setup("fit")
    torch.manual_seed(3)
    batches = [batch for batch, _ in zip(data.train_dataloader(), range(7), strict=False)]

    class Repeatable(get_class(config.model._target_)):
        """A plain loader starts anew when a run resumes within an epoch, and random states are not restored."""

        def training_step(self, batch, batch_idx):
            torch.manual_seed(self.global_step)
            return super().training_step(batches[self.global_step], batch_idx)

    def fit(folder, *others, **kwargs):
        torch.manual_seed(1)
        model = Repeatable(**{key: value for key, value in config.model.items() if key != "_target_"})
        trainer = make_trainer(*callbacks(config), *others, default_root_dir=folder, **arguments(config))
        trainer.fit(model, datamodule=data, **kwargs)

    saved = tmp_path / "saved.ckpt"
    fit(tmp_path / "whole")
    with pytest.raises(ZeroDivisionError):
        fit(tmp_path / "parts", At(stop_at, lambda trainer: trainer.save_checkpoint(saved)), At(stop_at + 2, boom))
    fit(tmp_path / "parts", ckpt_path=saved)
    whole, parts = read_run(tmp_path / "whole"), read_run(tmp_path / "parts")
    assert sorted(whole.keys()) == sorted(parts.keys())
    for key in sorted(whole.keys()):
        np.testing.assert_array_equal(parts[key].steps, whole[key].steps, err_msg=key)
        if not key.startswith("time/"):
            np.testing.assert_array_equal(parts[key].values, whole[key].values, err_msg=key)
    for key in ("grad/layer_norms", "activation/module_rms"):
        np.testing.assert_array_equal(parts.vectors(key)[1], whole.vectors(key)[1], err_msg=key)
