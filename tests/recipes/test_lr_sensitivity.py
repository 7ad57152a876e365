"""The recipe as a person starts it, on a module of her own: least squares by gradient descent, which has a known limit.

The loss is a parabola with curvature 2 in each direction, so gradient descent diverges from a learning rate of 1 on.
"""

import json
import struct

import numpy as np
import pytest

from stabilimeter.records.run import read_run

OWN = ("experiment=own", "model._target_=my_project.Line", "datamodule._target_=my_project.Points")
SWEEP = ("--multirun", "seed=0,3,4", "lr=0.01,0.03,0.1,3.0", "trainer.max_epochs=3", *OWN)


@pytest.fixture(scope="module")
def sweep(recipe, folder):
    done = recipe(*SWEEP, script="lr_sensitivity")
    paths = list((folder / "out").rglob("lr_sensitivity.json"))
    assert len(paths) == 1, done.stdout + done.stderr
    return done, paths[0]


@pytest.fixture(scope="module")
def curve(sweep):
    (curve,) = json.loads(sweep[1].read_text())["curves"]
    return curve


def test_losses_are_those_of_the_records_and_the_divergent_rate_fails(sweep, curve):
    done, path = sweep
    assert done.returncode == 3
    assert [point["lr"] for point in curve["points"]] == [0.01, 0.03, 0.1, 3.0]
    assert [sum(point["failed"].values()) for point in curve["points"]] == [0, 0, 0, 3]
    runs = {lr: [read_run(path.parent / f"lr={lr}" / f"seed={seed}") for seed in (0, 3, 4)] for lr in (0.03, 0.1)}
    for point in curve["points"][1:3]:
        finals = [float(run["val/loss"].values[-1]) for run in runs[point["lr"]]]
        assert list(point["losses"].values()) == finals
        assert point["mean"] == pytest.approx(np.mean(finals))
    first = [float(run["train/loss"].values[0]) for run in runs[0.1]]
    assert curve["result"]["initial"] == pytest.approx(np.mean(first))
    assert list(curve["points"][3]["scores"].values()) == first


def test_numbers_follow_from_the_means(curve):
    means = [point["mean"] for point in curve["points"]]
    assert means[3] == pytest.approx(curve["result"]["initial"])
    excess = np.array(means) - min(means)
    position = np.log10([0.01, 0.03, 0.1, 3.0])
    expected = float(np.diff(position) @ (excess[1:] + excess[:-1])) / 2 / (position[-1] - position[0])
    assert curve["result"]["value"] == pytest.approx(expected)
    assert curve["result"]["ci"][0] < expected < curve["result"]["ci"][1]
    assert curve["result"]["best_lr"] == 0.1
    assert curve["fails_from"] == 3.0
    assert 0.1 <= curve["result"]["stable"]["high"] < 3.0


def test_the_answer_is_in_plain_words(sweep):
    text = " ".join(sweep[0].stdout.split())
    assert "A learning rate picked at random from 0.01 to 3 costs " in text
    assert "Seeds begin to fail at 3: 3 of 3 seeds failed, 95 % interval 44 to 100 %" in text
    assert "Best: 0.1, val/loss" in text
    assert "lr_sensitivity.json, .png and .pdf are in out/own" in text


def test_pictures_are_there_and_tensorboard_has_one(sweep):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    png = sweep[1].with_suffix(".png").read_bytes()
    assert png.startswith(b"\x89PNG")
    assert sweep[1].with_suffix(".pdf").read_bytes().startswith(b"%PDF")
    accumulator = EventAccumulator(str(sweep[1].parent / "across_seeds"))
    accumulator.Reload()
    (image,) = accumulator.Images("lr_sensitivity")
    assert image.encoded_image_string == png
    assert (image.width, image.height) == struct.unpack(">II", png[16:24])


def test_the_same_command_keeps_what_is_there(sweep, recipe):
    before = sweep[1].read_text()
    again = recipe(*SWEEP, script="lr_sensitivity")
    assert again.stdout.count(", kept") == 12
    assert json.loads(sweep[1].read_text()) == json.loads(before)
