"""Mistakes at the command line: one line, a status other than zero, nothing trained."""

import pytest


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([], "seed is missing: give this run its seed (seed=0)"),
        (["seed=1.5"], "seed=1.5 is not a seed: give a whole number from 0 to 4294967295"),
        (["--multirun", "seed=0,abc"], "seed=abc is not a seed"),
        (["--multirun", "seed=3,1,3"], "seed has 3 more than once"),
        (["--multirun", "model.lr=0.1,0.1"], "model.lr has 0.1 more than once"),
        (["seed=0", "experiment=own"], "give a value to datamodule._target_, model._target_"),
    ],
)
def test_is_refused_in_one_line(recipe, folder, overrides, said):
    done = recipe(*overrides)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list((folder / "out").rglob("manifest.json"))


@pytest.mark.parametrize("mode", ["seed=0", "--multirun"])
def test_folder_that_cannot_be_written_is_found_before_training(recipe, folder, mode):
    (folder / "file").write_text("")
    done = recipe(mode, "hydra.sweep.dir=file/out")
    assert done.returncode == 1
    assert "cannot write to file/out" in done.stderr
    assert "training" not in done.stdout


def test_unknown_experiment_lists_the_known_ones(recipe):
    done = recipe("seed=0", "experiment=nope")
    assert done.returncode == 1
    for name in ("char_gpt", "digits_cnn", "own", "tabular_mlp"):
        assert name in done.stderr
