"""The recipe on a user's own module: a learning rate too small for the time there is, and a better one."""

import json

import numpy as np
import pytest

from stabilimeter.records.run import read_run

OWN = ("experiment=own", "model._target_=my_project.Line", "datamodule._target_=my_project.Points")
SWEEP = ("--multirun", "trainer.max_epochs=1", "+model.lr=0.01", "candidate={model.lr:0.1}", "pairs=8", *OWN)


@pytest.fixture(scope="module")
def sweep(recipe, folder):
    done = recipe(*SWEEP, script="compare", LUCKY="1")
    paths = list((folder / "out").rglob("compare.json"))
    assert len(paths) == 1, done.stdout + done.stderr
    return done, paths[0]


def test_it_stops_when_seven_pairs_agree(sweep):
    """Of at most 8 pairs 0.038 may be spent on seven, and 2 of 128 patterns are 0.016; on six 0.028 of 0.031."""
    done, path = sweep
    assert done.returncode == 0
    report = json.loads(path.read_text())
    assert report["verdict"] == report["comparison"]["verdict"] == "better"
    assert (report["sequential"]["settled_at"], report["sequential"]["stop"]) == (7, "different")
    assert report["sequential"]["looks"][-1]["p"] == 2 / 128
    assert done.stdout.count(": training") == 14
    assert "Better: val/loss differs by -" in done.stdout
    assert "the difference is clear after 7 pairs (p = 0.016" in " ".join(done.stdout.split())


def test_pairs_are_those_of_the_records(sweep):
    _, path = sweep
    (baseline,), (candidate,) = (list((path.parent / arm).glob("*")) for arm in ("baseline", "candidate"))
    finals = np.array(
        [
            [float(read_run(arm / f"seed={seed}")["val/loss"].values[-1]) for arm in (baseline, candidate)]
            for seed in range(7)
        ]
    )
    report = json.loads(path.read_text())
    assert [pair["values"] for pair in report["sequential"]["pairs"]] == finals.tolist()
    assert report["sequential"]["looks"][-1]["mean"] == pytest.approx(np.mean(finals[:, 1] - finals[:, 0]))
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
