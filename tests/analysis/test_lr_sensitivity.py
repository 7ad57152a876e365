from dataclasses import replace

import numpy as np
import pytest

from stabilimeter.analysis.lr_sensitivity import lr_report
from stabilimeter.analysis.recipe_error import RecipeError
from stabilimeter.analysis.summarize import summarize
from stabilimeter.records.manifest import RunStatus


def report(sweep, **arguments):
    return lr_report(sweep, summarize(sweep, rng=np.random.default_rng(0)), **arguments)


@pytest.fixture
def group(build):
    """Makes a group at one learning rate whose validation loss ends at ``floor``, one run per seed."""

    def made(lr, floor, seeds=(0, 1, 2), label=None, **fields):
        manifest = {"config": {"lr": lr, "width": 64}}
        losses = {seed: {"val/loss": build.val_loss(seed, floor=floor)} for seed in seeds}
        runs = [build.ours(seed, manifest=manifest, **losses[seed]) for seed in seeds]
        return build.group([replace(run, **fields) for run in runs], label or f"lr={lr}")

    return made


def test_failed_seeds_are_counted_with_their_reasons(build, group):
    manifest = {"config": {"lr": 0.1}, "reason": "ValueError: no"}
    dead = [build.ours(seed, RunStatus.FAILED, manifest=manifest) for seed in (0, 1)]
    last = build.group([*dead, *group(0.1, 0.7, (2,)).runs], "lr=0.1")
    (curve,) = report(build.sweep(group(0.001, 1.0), group(0.01, 0.6), last)).curves
    assert [point.n_failed for point in curve.points] == [0, 0, 2]
    assert curve.points[2].reasons[0].startswith("exception: ValueError: no")
    assert (curve.fails_from, curve.safe_to.lr) == (0.1, 0.01)
    assert curve.points[2].failure_ci == pytest.approx((0.2077, 0.9385), abs=1e-4)  # Wilson, 2 of 3


def test_runs_that_ended_before_their_first_evaluation_fail_and_do_not_hide_the_metric(build):
    """With two validation losses only the monitored one is primary, and the dead runs have logged neither."""

    def runs(lr, floor):
        manifest = {"config": {"lr": lr}, "monitor": "val/ctc_loss"}
        series = {"val/loss": None, "val/lm_loss": build.points([3.0, 2.0])}
        if floor is None:
            return [build.ours(s, RunStatus.FAILED, manifest=manifest, **{"val/loss": None}) for s in (0, 1, 2)]
        losses = {s: {**series, "val/ctc_loss": build.val_loss(s, floor=floor)} for s in (0, 1, 2)}
        return [build.ours(s, manifest=manifest, **losses[s]) for s in (0, 1, 2)]

    rates = {0.001: 1.0, 0.01: 0.6, 9.0: None}
    (curve,) = report(build.sweep(*(build.group(runs(lr, floor), f"lr={lr}") for lr, floor in rates.items()))).curves
    assert curve.metric == "val/ctc_loss"
    assert curve.points[2].n_failed == 3
    assert curve.points[2].mean == pytest.approx(curve.result.initial)


def test_a_run_that_ends_no_better_than_it_began_has_failed_too(build, group):
    (curve,) = report(build.sweep(group(0.001, 0.6), group(1.0, 9.0))).curves
    assert curve.points[1].reasons[0].startswith("nothing gained: 8.999 at the end, 2.503 before training")
    assert curve.points[1].mean == pytest.approx(curve.result.initial)
    assert curve.fails_from == 1.0


def test_recipes_that_differ_in_more_than_the_learning_rate_get_a_curve_each(build, group):
    labels = ["width=64/lr=0.001", "width=64/lr=0.01", "width=8/lr=0.001", "width=8/lr=0.01"]
    floors = [0.6, 0.8, 0.6, 1.6]
    lrs = [0.001, 0.01, 0.001, 0.01]
    groups = [group(lr, floor, label=label) for lr, floor, label in zip(lrs, floors, labels, strict=True)]
    first, second = report(build.sweep(*groups)).curves
    assert (first.label, second.label) == ("width=64", "width=8")
    assert first.result.value == pytest.approx(0.1, abs=0.01)  # half of 0.2, half of 1.0
    assert second.result.value == pytest.approx(0.5, abs=0.01)


def test_seeds_that_miss_a_learning_rate_are_named_and_left_out_of_the_sensitivity(build, group):
    (curve,) = report(build.sweep(group(0.001, 0.6), group(0.01, 0.8, seeds=(0, 2)))).curves
    assert curve.num_seeds == 2
    assert curve.result.ci is None
    assert "other numbers of seeds: 3 at 0.001" in curve.notes[0]


@pytest.mark.parametrize(
    ("lrs", "arguments", "said"),
    [
        ((0.001,), {}, "one learning rate"),
        ((0.001, 0.01), {"metric": "val/nope"}, "no run has logged val/nope"),
        ((0.001, 0.01), {"lr_key": "model.lr"}, "no run has a learning rate at model.lr"),
        ((0.001, 0.01), {"initial": 0.1}, "no learning rate improves"),
        ((0.001, 0.01), {"metric": "grad/norm"}, "before training is not known"),
    ],
)
def test_refusals_say_what_to_do(build, group, lrs, arguments, said):
    groups = [group(lr, 0.6) for lr in lrs]
    if arguments.get("metric") == "grad/norm":
        runs = [
            replace(run, _scalars={**run._scalars, "grad/norm": build.points([1.0, 2.0])}) for run in groups[0].runs
        ]
        groups[0] = replace(groups[0], runs=tuple(runs))
    with pytest.raises(RecipeError, match=said):
        report(build.sweep(*groups), **arguments)
