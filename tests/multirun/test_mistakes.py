import pytest
from omegaconf import OmegaConf

from stabilimeter.multirun.mistakes import (
    impossible_seed,
    missing_seed,
    overridden_values,
    repeated_value,
    unwritable,
)


def sweep_config(*task: str, **params: str):
    return OmegaConf.create({"hydra": {"overrides": {"task": list(task)}, "sweeper": {"params": params}}})


def test_command_line_replaces_the_sweepers_defaults_key_by_key():
    config = sweep_config("seed=range(0,10,4)", "lr=0.1,0.2", "name=x", seed="range(0,5)", depth="1,2")
    assert overridden_values(config) == {
        "seed": ["0", "4", "8"],
        "depth": ["1", "2"],
        "lr": ["0.1", "0.2"],
        "name": ["x"],
    }


def test_what_cannot_be_listed_has_no_values():
    assert overridden_values(sweep_config("lr=interval(0,1)", "experiment=glob(*)")) == {"lr": [], "experiment": []}


def test_apps_with_another_sweeper_have_no_params():
    config = OmegaConf.create({"hydra": {"overrides": {"task": ["seed=choice(1,2)"]}, "sweeper": {}}})
    assert overridden_values(config) == {"seed": ["1", "2"]}


@pytest.mark.parametrize("seed", [0, "0", 4294967295, "7"])
def test_possible_seeds(seed):
    assert impossible_seed("seed", [seed]) is None


@pytest.mark.parametrize("seed", [-1, 4294967296, 1.0, "x", True, None, ""])
def test_impossible_seeds(seed):
    assert impossible_seed("seed", [0, seed]) is not None


def test_seed_zero_is_not_missing():
    assert missing_seed(OmegaConf.create({"seed": 0}), "seed") is None
    assert missing_seed(OmegaConf.create({"other": 0}), "seed") is None
    assert missing_seed(OmegaConf.create({"run": {"seed": "???"}}), "run.seed").startswith("run.seed is missing")


def test_repeated_values():
    assert repeated_value({"seed": ["0", "1"], "lr": ["0", "1"]}) is None
    assert repeated_value({"seed": ["0", "1"], "lr": ["2", "1", "1", "2"]}).startswith("lr has 1, 2 more than once")


def test_a_folder_is_made_and_left_empty(tmp_path):
    assert unwritable(tmp_path / "a" / "b") is None
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert unwritable(tmp_path / "file" / "out") == (
        f"cannot write to {tmp_path / 'file' / 'out'} (Not a directory): choose another folder"
    )
