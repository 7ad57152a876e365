"""Every experiment config against the signatures it is meant for."""

import inspect
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import get_class

import stabilimeter.multirun  # noqa: F401  (the resolvers of the configs)

CONF = Path(__file__).parents[2] / "conf"
EXPERIMENTS = sorted(path.stem for path in (CONF / "experiment").glob("*.yaml"))
RECIPES = sorted(path.stem for path in CONF.glob("*.yaml"))


def test_all_experiments_are_found():
    assert EXPERIMENTS == ["char_gpt", "digits_cnn", "own", "tabular_mlp"]


def test_every_recipe_has_a_config_of_its_name_and_is_short():
    assert RECIPES == ["compare", "determinism", "lr_sensitivity", "seed_sweep", "variance_sources"]
    scripts = {path.stem: path.read_text() for path in (CONF.parent / "recipes").glob("*.py")}
    assert sorted(scripts) == RECIPES
    for name, text in scripts.items():
        assert f'config_name="{name}"' in text
        assert len(text.splitlines()) <= 80


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name != "own"])
def test_settings_exist_and_leave_twenty_evaluations(name):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("seed_sweep", [f"experiment={name}", "seed=0"])
    for part in ("model", "datamodule"):
        settings = dict(config[part])
        signature = inspect.signature(get_class(settings.pop("_target_"))).parameters
        assert set(settings) <= set(signature)
        for key, value in settings.items():  # what is only repeated from the signature says the same
            assert value == signature[key].default
    assert config.trainer.max_steps / config.trainer.val_check_interval >= 20
    assert config.callbacks.stability._target_ == "stabilimeter.StabilityMonitor"


def test_every_trainer_setting_is_one_of_lightnings():
    from lightning import Trainer

    known = set(inspect.signature(Trainer.__init__).parameters) | {"_target_"}
    for name in EXPERIMENTS:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = compose("seed_sweep", [f"experiment={name}", "seed=0"])
        assert set(config.trainer) <= known


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name != "own"])
def test_a_varied_source_gets_another_seed_and_the_others_keep_theirs(name):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("variance_sources", [f"experiment={name}", "seed=3", "vary=order"])
    assert dict(config.seeds) == {"init": 3, "order": 3 + 2**31, "noise": 3, "split": 3}
    assert config.datamodule.split_seed == 3
    assert (config.callbacks.seeds.order, config.callbacks.stability.seed) == (3 + 2**31, 3)
