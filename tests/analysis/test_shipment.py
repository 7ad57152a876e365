from dataclasses import replace

import pytest

from stabilimeter.analysis.shipment import SeedShipment, Shipment, group_shipment, shipment
from stabilimeter.records.checkpoint_log import CheckpointLog, Evaluation, ExampleChanges, SavedCheckpoint
from stabilimeter.stats.checkpoint_verdict import Comparison, Verdict


def evaluation(step, value, *, best_step=None, best=None, se=0.01, verdict=Verdict.SAME, forgotten=None, **more):
    against = None
    if best_step is not None:
        against = Comparison(best_step, verdict, value - best, se, 0.5, "mcnemar")
    examples = None if forgotten is None else ExampleChanges(100, forgotten=forgotten)
    return Evaluation(step, 0, 0.0, "acc", "max", value, verdict=verdict if against else None, against_best=against,
                      examples=examples, **more)  # fmt: skip


@pytest.fixture
def log(tmp_path):
    """A log whose checkpoints lie in a folder, one for each evaluation unless said otherwise."""

    def make(*evaluations, saved=None):
        if saved is None:
            saved = [SavedCheckpoint(one.step, 0, 0.0, f"step={one.step}.ckpt") for one in evaluations]
        for one in saved:
            (tmp_path / one.path).touch()
        return CheckpointLog(evaluations, tuple(saved))

    return make


def test_the_best_where_nothing_is_known_but_the_metric(log, tmp_path):
    ship, reason = shipment(log(evaluation(1, 0.8), evaluation(2, 0.9), evaluation(3, 0.85)), tmp_path)
    assert ship == Shipment("step=2.ckpt", 2, 0.9, "acc 0.9, the best of its healthy checkpoints")
    assert reason is None


def test_of_those_alike_the_one_that_has_forgotten_least(log, tmp_path):
    evaluations = (
        evaluation(1, 0.885, forgotten=3),
        evaluation(2, 0.890, best_step=1, best=0.885, forgotten=4),
        evaluation(3, 0.900, best_step=2, best=0.890, forgotten=6),
        evaluation(4, 0.895, best_step=3, best=0.900, forgotten=5),
        evaluation(5, 0.700, best_step=3, best=0.900, forgotten=1, verdict=Verdict.WORSE),
    )
    ship, _ = shipment(log(*evaluations), tmp_path)
    assert (ship.step, ship.path) == (1, "step=1.ckpt")  # 0.015 behind, within two standard errors of 0.01
    assert ship.reason == (
        "acc 0.885, which noise does not tell from the best, 0.9 at step 3; examples forgotten: 3, there 6; "
        "1 of 4 later evaluations are worse"
    )


def test_of_equals_the_first_is_the_best(log, tmp_path):
    equals = (evaluation(1, 0.9, forgotten=2), evaluation(2, 0.9, best_step=1, best=0.9, forgotten=2))
    assert shipment(log(*equals), tmp_path)[0].reason == "acc 0.9, the best of its healthy checkpoints"


def test_what_noise_tells_apart_is_not_shipped(log, tmp_path):
    evaluations = (
        evaluation(1, 0.87, forgotten=0),
        evaluation(2, 0.90, best_step=1, best=0.87, forgotten=9),
    )
    assert shipment(log(*evaluations), tmp_path)[0].step == 2


@pytest.mark.parametrize("sick", ["checkpoint", "evaluation"])
def test_a_sick_checkpoint_is_never_shipped(log, tmp_path, sick):
    unhealthy = ("weights not finite: net",)
    second = evaluation(2, 0.99, unhealthy=unhealthy if sick == "evaluation" else ())
    saved = [
        SavedCheckpoint(1, 0, 0.0, "a.ckpt"),
        SavedCheckpoint(2, 0, 0.0, "b.ckpt", unhealthy if sick == "checkpoint" else ()),
    ]
    assert shipment(log(evaluation(1, 0.8), second, saved=saved), tmp_path)[0].path == "a.ckpt"


def test_of_two_files_of_one_step_the_one_with_a_name_of_its_own_is_shipped(log, tmp_path):
    saved = [SavedCheckpoint(2, 0, 0.0, "step=2.ckpt"), SavedCheckpoint(2, 0, 0.1, "last.ckpt")]
    assert shipment(log(evaluation(2, 0.9), saved=saved), tmp_path)[0].path == "step=2.ckpt"


def test_why_there_is_none(log, tmp_path):
    one = evaluation(1, 0.8)
    assert shipment(CheckpointLog((one,)), tmp_path) == (None, "no checkpoint was saved")
    gone = CheckpointLog((one,), (SavedCheckpoint(1, 0, 0.0, "gone.ckpt"),))
    assert shipment(gone, tmp_path) == (None, "none of the 1 checkpoints that were saved is there any more")
    sick = log(one, saved=[SavedCheckpoint(1, 0, 0.0, "a.ckpt", ("nan",))])
    assert shipment(sick, tmp_path) == (None, "no checkpoint is healthy")
    between = log(one, saved=[SavedCheckpoint(3, 0, 0.0, "a.ckpt")])
    assert shipment(between, tmp_path) == (None, "no healthy checkpoint was saved at the step of an evaluation")


def test_a_group_ships_the_best_of_seeds_that_did_not_fail():
    ship = Shipment("a.ckpt", 9, 0.9, "good")
    seeds = [
        SeedShipment("lr=1/seed=0", "seed 0", False, "max", ship),
        SeedShipment("lr=1/seed=1", "seed 1", False, "max", replace(ship, value=0.95)),
        SeedShipment("lr=1/seed=2", "seed 2", True, "max", replace(ship, value=0.99)),
    ]
    found = group_shipment(seeds)
    assert (found.path, found.value) == ("lr=1/seed=1/a.ckpt", 0.95)
    assert found.reason == "seed 1: good; the best of 2 seeds"
    assert group_shipment(seeds[2:]).path == "lr=1/seed=2/a.ckpt"
    assert group_shipment([]) is None
