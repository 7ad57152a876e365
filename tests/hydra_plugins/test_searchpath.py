"""What a user's own Hydra app sees of the packaged configs, in processes of their own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from hydra.utils import instantiate

from stabilimeter import CheckpointRegression

APP = """
import hydra
from hydra.utils import instantiate
from omegaconf import DictConfig

@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> None:
    print(sorted(config.callbacks))
    print(type(instantiate(config.callbacks.stability)).__module__)
    if "loud" in config.callbacks:
        print(config.callbacks.loud._target_)

main()
"""


TRAINING_APP = """
import hydra
from hydra.utils import instantiate
from lightning import Trainer, seed_everything
from lightning.pytorch.demos.boring_classes import BoringModel
from omegaconf import DictConfig

@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config: DictConfig) -> None:
    seed_everything(config.seed)
    callbacks = [instantiate(callback) for callback in config.callbacks.values()]
    trainer = Trainer(max_steps=5, limit_val_batches=0, enable_progress_bar=False, callbacks=callbacks)
    trainer.fit(BoringModel())

main()
"""


def run_app(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "app.py", *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "train.yaml").write_text("seed: 0\n")
    return tmp_path


def test_an_app_without_callbacks_of_its_own_takes_ours(app):
    done = run_app(app, "+stability=default")
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["['stability']", "stabilimeter.callbacks.monitor"]


def test_an_app_with_a_callbacks_group_keeps_its_own(app):
    (app / "conf" / "train.yaml").write_text("defaults: [_self_, callbacks: mine]\nseed: 0\n")
    (app / "conf" / "callbacks").mkdir()
    (app / "conf" / "callbacks" / "mine.yaml").write_text("loud: {_target_: mine.Loud}\n")
    done = run_app(app, "+stability=default")
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["['loud', 'stability']", "stabilimeter.callbacks.monitor", "mine.Loud"]


def test_settings_reach_the_callback_and_wrong_ones_are_refused_by_name(app):
    done = run_app(app, "+stability=default", "+callbacks.stability.flush_every_n_steps=0")
    assert done.returncode == 1
    assert "flush_every_n_steps" in done.stderr


def test_an_app_that_sets_no_folder_keeps_its_seeds_apart(app):
    (app / "app.py").write_text(TRAINING_APP)
    sweep = ("--multirun", "+stability=default", "hydra/callbacks=stability", "seed=0,1", "hydra.sweep.dir=out")
    done = run_app(app, *sweep)
    assert done.returncode == 0, done.stderr
    (group,) = json.loads((app / "out" / "summary.json").read_text())["groups"]
    assert [(run["seed"], run["status"], run["last_step"]) for run in group["runs"]] == [
        (0, "completed", 4),
        (1, "completed", 4),
    ]


def test_the_plugin_imports_nothing_heavy():
    code = (
        "import sys, hydra_plugins.stabilimeter_searchpath; "
        "print([name for name in ('torch', 'lightning', 'numpy', 'stabilimeter') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_checkpoint_regression_takes_the_metric_of_the_monitor_or_its_own(app):
    def callback(*overrides):
        with initialize_config_dir(str(app / "conf"), version_base="1.3"):
            config = compose("train", overrides=list(overrides))
        return instantiate(config.callbacks.checkpoint_regression)

    both, one = "+stability=[default,checkpoint_regression]", "+stability=checkpoint_regression"
    monitor = ("+callbacks.stability.monitor=acc", "+callbacks.stability.mode=max")
    assert callback(both, *monitor).state_key == CheckpointRegression("acc", "max").state_key
    own = ("callbacks.checkpoint_regression.monitor=loss", "callbacks.checkpoint_regression.mode=min")
    assert callback(one, *own).state_key == CheckpointRegression("loss", "min").state_key
    with pytest.raises(InstantiationException, match="monitor must be the name of a logged metric, got None"):
        callback(one)
