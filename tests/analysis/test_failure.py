from dataclasses import replace

import numpy as np
import pytest

from stabilimeter.analysis.evidence import Evidence
from stabilimeter.analysis.failure import Reason, failure_reasons
from stabilimeter.analysis.primary import primary_of
from stabilimeter.analysis.roles import roles_in
from stabilimeter.records.manifest import RunStatus

NAN = np.nan


def reasons(*runs, **options):
    roles, primary = roles_in(runs), primary_of(runs, options.pop("metric", None), options.pop("mode", None))
    return failure_reasons([Evidence(run, roles, primary) for run in runs], **options)


def words(found):
    return [None if reason is None else reason.split(":")[0] for reason in found]


def broken(build, seed=9, **changes):
    return replace(build.foreign(seed), **changes)


def test_healthy_seeds_do_not_fail(build):
    assert reasons(*[build.foreign(seed) for seed in range(5)], target=0.7) == [None] * 5
    assert reasons(*[build.ours(seed) for seed in range(5)]) == [None] * 5


def test_loss_nonfinite_at_its_end_however_finite_the_target_metric(build):
    values = build.loss(1)
    values[700:] = NAN
    accuracy = build.points(np.full(20, 0.001), range(0, 1000, 50))
    found = reasons(
        build.foreign(0, val_acc=accuracy),
        build.foreign(1, loss=build.points(values), val_acc=accuracy),
        metric="val_acc",
    )
    assert found == [None, "nonfinite: loss not finite from step 700 to the end"]


def test_an_evaluation_loss_counts_too_and_a_gradient_norm_does_not(build):
    inf = build.points([1.0, np.inf])
    assert words(reasons(build.foreign(0, **{"test/loss": inf}))) == ["nonfinite"]
    assert reasons(build.foreign(0, grad_norm=inf)) == [None]


def test_one_nan_that_recovers_is_no_failure(build):
    values = build.loss(1)
    values[700] = NAN
    assert reasons(build.foreign(0, loss=build.points(values))) == [None]


@pytest.mark.parametrize(
    ("status", "manifest", "expected"),
    [
        (RunStatus.COMPLETED, {}, None),
        (RunStatus.COMPLETED, {"last_step": 980}, None),
        (RunStatus.COMPLETED, {"last_step": 970}, "incomplete: 971 of 1000 planned steps"),
        (RunStatus.COMPLETED, {"last_step": 970, "planned_steps": None}, None),
        (RunStatus.STOPPED, {"last_step": 400, "reason": "early stopping"}, None),
        (RunStatus.FAILED, {"reason": "RuntimeError: boom"}, "exception: RuntimeError: boom, at step 999"),
        (RunStatus.FAILED, {}, "exception: no message recorded, at step 999"),
        (RunStatus.DIED, {"last_step": None}, "died: no end mark, last seen at step 999"),
        (RunStatus.DIVERGED, {"reason": "grad/norm is not finite"}, "nonfinite: grad/norm is not finite"),
        (RunStatus.DIVERGED, {}, "nonfinite: the run says that it diverged"),
        (
            RunStatus.DIVERGED,
            {"last_step": 300, "reason": "SpikeGuard: loss spikes"},
            "incomplete: 301 of 1000 planned steps (SpikeGuard: loss spikes)",
        ),
    ],
)
def test_how_our_own_runs_end(build, status, manifest, expected):
    assert reasons(build.ours(status=status, manifest=manifest)) == [expected]


def test_a_run_that_died_before_its_first_step(build):
    run = build.ours(status=RunStatus.DIED, manifest={"last_step": None}, **{"train/loss": None, "val/loss": None})
    assert reasons(build.ours(1), run)[1] == "died: no end mark, last seen before the first step"


def test_nan_leads_and_the_exception_is_kept(build):
    nan = build.points([2.0, 1.0, NAN])
    run = build.ours(status=RunStatus.FAILED, manifest={"reason": "ValueError: nan"}, **{"train/loss": nan})
    (reason,) = reasons(run)
    assert reason.startswith("nonfinite: train/loss")
    assert "; exception: ValueError: nan" in reason


def test_collapse_and_its_overfitting_twin(build):
    steps = np.arange(0, 1000, 20)
    evaluated = 0.6 + 2 * np.exp(-steps / 100) + np.random.default_rng(0).normal(scale=0.005, size=50)
    evaluated[25:] = 0.9
    values = build.loss(1)
    values[500:] += 0.3
    collapsed = build.foreign(1, loss=build.points(values), val_loss=build.points(evaluated, steps))
    overfit = build.foreign(1, val_loss=build.points(evaluated, steps))
    found = reasons(build.foreign(0), collapsed, overfit)
    assert words(found) == [None, "collapsed", None]
    # the best level, 0.62, is a running median of three
    assert found[1] == "collapsed: val_loss ends 0.279 worse than its best (step 480), for good"


def test_a_metric_that_is_better_when_higher_can_collapse(build):
    steps = np.arange(0, 1000, 20)
    accuracy = np.minimum(0.9, 0.1 + steps / 400)
    accuracy[30:] = 0.1
    run = build.foreign(0, loss=None, val_loss=None, val_acc=build.points(accuracy, steps))
    assert words(reasons(run, metric="val_acc")) == ["collapsed"]


def test_a_loss_that_ends_worse_than_it_began(build):
    rising = build.points(build.loss(1)[::-1].copy())
    found = reasons(build.foreign(0), build.foreign(1, loss=rising))
    assert words(found) == [None, "no_progress"]
    assert "worse than its start" in found[1]
    assert reasons(build.foreign(0), build.foreign(1, loss=rising), expect_progress=False) == [None, None]


def test_a_stalled_seed_among_siblings(build):
    stuck = build.points(2.5 + np.random.default_rng(0).normal(scale=0.02, size=1000))
    found = reasons(build.foreign(0), build.foreign(1), build.foreign(2, loss=stuck), build.foreign(3))
    assert words(found) == [None, None, "no_progress", None]
    assert "the group by 1.9" in found[2]
    assert reasons(build.foreign(0), build.foreign(2, loss=stuck), expect_progress=False) == [None, None]


def test_learning_rate_zero_is_not_a_failure(build):
    constant = build.points(np.full(1000, 2.5))
    assert reasons(*[build.foreign(seed, loss=constant, val_loss=None) for seed in range(3)]) == [None] * 3


def test_a_record_that_starts_late_is_not_asked_for_progress(build):
    rising = build.points(build.loss(1)[::-1][:900].copy(), range(100, 1000))
    assert reasons(build.foreign(0), build.foreign(1, loss=rising)) == [None, None]


def test_without_a_training_loss_evaluations_tell(build):
    rising = build.points(np.linspace(0.9, 0.1, 50), range(0, 1000, 20))
    run = build.foreign(0, loss=None, val_loss=None, val_acc=rising)
    (reason,) = reasons(run, metric="val_acc", mode="max")
    assert reason.startswith(("collapsed", "no_progress"))
    rising = build.points(np.linspace(0.5, 0.1, 8), range(0, 400, 50))
    (reason,) = reasons(build.foreign(0, loss=None, val_loss=None, val_acc=rising), metric="val_acc", mode="max")
    assert reason == "no_progress: val_acc ends at 0.1, worse than its start at 0.5"


def test_target(build):
    runs = [build.foreign(seed) for seed in range(2)]
    assert words(reasons(*runs, target=0.65)) == [None, None]
    assert words(reasons(*runs, target=0.5)) == ["target_missed"] * 2
    assert words(reasons(*runs, target=0.5, metric="val_loss", mode="max")) == [None, None]
    missing = build.foreign(2, val_loss=None)
    assert reasons(*runs, missing, target=0.65)[2] == "target_missed: final val_loss is missing, the target 0.65"


def test_nothing_logged_at_all(build):
    assert reasons(build.log({}), build.foreign(1)) == [None, None]


def test_every_reason_starts_with_a_word_of_the_contract():
    assert {reason.value for reason in Reason} == {
        "nonfinite",
        "no_progress",
        "collapsed",
        "exception",
        "died",
        "incomplete",
        "target_missed",
    }


class TestNothingGained:
    """Accuracy falls from 0.9 to 0.63 while the loss comes down from a blow-up to where it began."""

    def series(self, build, accuracy, loss):
        return {"train_loss": build.points(loss), "val_acc": build.points(accuracy, range(0, 1000, 50))}

    def blown_up(self):
        noise = np.random.default_rng(0).normal(scale=0.02, size=1000)
        return np.concatenate([[0.69], np.geomspace(5e7, 1.0, 99), np.full(900, 0.68)]) + noise

    def test_primary_metric_that_ends_worse_is_no_progress(self, build):
        falling = np.concatenate([np.linspace(0.9, 0.63, 10), np.full(10, 0.63)])
        run = build.log(self.series(build, falling, self.blown_up()))
        (reason,) = reasons(run, metric="val_acc", mode="max")
        assert reason.startswith(
            ("no_progress: val_acc ends at 0.63, worse than its start at 0.9", "collapsed: val_acc")
        )

    def test_twin_that_overfits_has_made_progress(self, build):
        falling = np.linspace(0.9, 0.88, 20)
        run = build.log(self.series(build, falling, build.loss()))
        assert reasons(run, metric="val_acc", mode="max") == [None]
