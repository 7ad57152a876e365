"""The recipe on a user's own module: weights and order of the data are random, split and training are not."""

import json

import numpy as np
import pytest

from stabilimeter.records.run import read_run

OWN = ("experiment=own", "model._target_=my_project.Line", "datamodule._target_=my_project.Points")


@pytest.fixture(scope="module")
def sweep(recipe, folder):
    done = recipe("--multirun", "seed=3,4", "trainer.max_epochs=1", *OWN, script="variance_sources")
    paths = list((folder / "out").rglob("variance_sources.json"))
    assert len(paths) == 1, done.stdout + done.stderr
    return done, paths[0]


def test_only_what_is_random_in_this_module_contributes(sweep):
    done, path = sweep
    assert done.returncode == 0
    report = json.loads(path.read_text())
    sources = {source["name"]: source for source in report["sources"]}
    assert [name for name, source in sources.items() if source["changes_nothing"]] == ["noise", "split"]
    assert sources["init"]["sd"] > 0
    assert sources["order"]["sd"] > 0
    assert sources["init"]["share"]["value"] + sources["order"]["share"]["value"] == pytest.approx(1)
    assert "Nothing at all changes with: noise in training, split." in " ".join(done.stdout.split())


def test_numbers_are_those_of_the_records(sweep):
    _, path = sweep
    finals = {
        (vary, seed): float(read_run(path.parent / f"vary={vary}" / f"seed={seed}")["val/loss"].values[-1])
        for vary in ("nothing", "init", "order")
        for seed in (3, 4)
    }
    report = json.loads(path.read_text())
    for source in report["sources"][:2]:
        changes = np.array([finals[source["name"], seed] - finals["nothing", seed] for seed in (3, 4)])
        assert source["sd"] == pytest.approx(np.sqrt(np.mean(changes**2) / 2))
    assert report["joint_sd"] == pytest.approx(np.std([finals["nothing", 3], finals["nothing", 4]], ddof=1))


def test_runs_of_one_seed_begin_alike_unless_the_weights_are_what_varies(sweep):
    _, path = sweep
    first = {
        vary: read_run(path.parent / f"vary={vary}" / "seed=3")["train/loss"].values
        for vary in ("nothing", "init", "order", "noise", "split")
    }
    assert np.array_equal(first["nothing"], first["noise"])
    assert np.array_equal(first["nothing"], first["split"])
    assert first["nothing"][0] != first["init"][0]
    assert first["nothing"][0] != first["order"][0]


def test_the_picture_is_there(sweep):
    assert sweep[1].with_suffix(".png").read_bytes().startswith(b"\x89PNG")
