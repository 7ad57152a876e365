"""A sweep whose seeds train on two processes each: Lightning starts the whole command once more for the second."""

import numpy as np

from stabilimeter.records.run import read_run

OWN = ("experiment=own", "model._target_=my_project.Line", "datamodule._target_=my_project.Points")


def test_one_run_per_seed_not_per_rank(recipe, folder):
    ranks = ("trainer.strategy=ddp", "trainer.devices=2", "trainer.accelerator=cpu")
    done = recipe("--multirun", "seed=0,3", "trainer.max_epochs=2", *ranks, *OWN)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": completed after ") == 2
    assert done.stdout.count("1 group, 2 seeds: none failed") == 1
    manifests = sorted((folder / "out").rglob("manifest.json"))
    runs = [read_run(path.parent.parent) for path in manifests]
    assert [(run.manifest.seed, run.manifest.world_size) for run in runs] == [(0, 2), (3, 2)]
    for run, manifest in zip(runs, manifests, strict=True):
        assert len(list(manifest.parent.glob("events.out.tfevents.*"))) == 1
        np.testing.assert_array_equal(run["train/loss"].steps, np.arange(10))  # 80 points, 2 x 8 a step, 2 epochs
        assert len(run["val/loss"].values) == 2
    assert runs[0]["train/loss"].values[-1] != runs[1]["train/loss"].values[-1]
