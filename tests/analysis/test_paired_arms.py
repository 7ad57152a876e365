from dataclasses import replace

import numpy as np
import pytest

from stabilimeter.analysis.comparison import Answer
from stabilimeter.analysis.paired_arms import Stop, arms_report, paired_answer
from stabilimeter.analysis.recipe_error import RecipeError
from stabilimeter.records.manifest import RunStatus


@pytest.fixture
def runs_of(build):
    """Makes the runs of both arms from final losses; None is a run that failed, ``"running"`` one that still runs."""

    def made(baseline, candidate, **manifest):
        runs = []
        for arm, finals in (("baseline", baseline), ("candidate", candidate)):
            for seed, final in enumerate(finals):
                status = {None: RunStatus.FAILED, "running": RunStatus.RUNNING}.get(final, RunStatus.COMPLETED)
                number = final if isinstance(final, float) else 1.0
                series = {
                    "val/loss": build.points([3.0] * 9 + [number], np.arange(0, 1000, 100)),
                    "train/loss": build.points(build.loss(seed + 50 * (arm == "candidate"))),
                }
                config = {"arm": arm}
                run = build.ours(seed, status, manifest={"config": config, **manifest}, **series)
                runs.append(replace(run, path=run.path.parent / arm / run.path.name))
        return runs

    return made


def answer(runs, n_max=12, margin=None):
    return paired_answer(runs, n_max, metric=None, margin=margin)


def test_seven_pairs_that_agree_settle_it_and_six_do_not(runs_of):
    """Of at most 12 pairs: 2 of 64 patterns are 0.031, 0.0125 are allowed; 2 of 128 are 0.016, 0.017 are."""
    better = [0.5 + 0.01 * seed for seed in range(7)]
    six, seven = (answer(runs_of([1.0] * n, better[:n])) for n in (6, 7))
    assert (six.stop, six.by_metric) == (None, Answer.INCONCLUSIVE)
    assert (seven.stop, seven.settled_at, seven.by_metric) == (Stop.DIFFERENT, 7, Answer.BETTER)
    assert seven.looks[-1].p == 2 / 128
    assert answer(runs_of(better, [1.0] * 7)).by_metric is Answer.WORSE


def test_higher_is_better_where_the_run_says_so(runs_of):
    found = answer(runs_of([1.0] * 7, [1.5] * 7, mode="max"))
    assert found.by_metric is Answer.BETTER


def test_a_failed_run_is_the_worst_difference_seen_and_two_are_none(runs_of):
    found = answer(runs_of([1.0, 1.0, None, None], [1.3, None, 1.0, None]))
    assert [pair.worsening for pair in found.pairs] == pytest.approx([0.3, 0.3, -0.3, 0.0])
    assert [pair.values for pair in found.pairs][1] == (1.0, None)
    assert [pair.worsening for pair in answer(runs_of([None], [1.0])).pairs] == [-1.0]


def test_seeds_that_run_on_one_side_only_wait(runs_of):
    found = answer(runs_of([1.0, 1.0, "running"], [1.1, "running", 1.1]))
    assert [pair.seed for pair in found.pairs] == [0]
    assert answer(runs_of([1.0], ["running"])) is None


def test_equivalent_when_the_margin_is_ruled_out_both_ways(runs_of):
    changes = [0.01, -0.01, 0.02, -0.02, 0.0, 0.01, -0.01]
    candidate = [1.0 + change for change in changes]
    found = answer(runs_of([1.0] * 7, candidate), margin=0.1)
    assert (found.stop, found.by_metric) == (Stop.EQUIVALENT, Answer.EQUIVALENT)
    assert answer(runs_of([1.0] * 7, candidate), margin=0.001).stop is None
    assert answer(runs_of([1.0] * 7, candidate)).stop is None


def test_all_pairs_without_an_answer(runs_of):
    found = answer(runs_of([1.0] * 6, [1.1, 0.9, 1.1, 0.9, 1.1, 0.9]), n_max=6)
    assert (found.stop, found.settled_at, found.by_metric) == (Stop.ALL_PAIRS, 6, Answer.INCONCLUSIVE)


def test_the_comparison_of_all_runs_does_not_overrule_the_looks(build, runs_of):
    """Eight pairs: p = 0.039 for a fixed number of seeds, 0.055 after eight looks."""
    changes = [0.07, 0.07, 0.12, 0.02, -0.04, 0.01, 0.05, 0.06]
    runs = runs_of([1.0 + 0.02 * seed for seed in range(8)], [1.0 + 0.02 * s + c for s, c in enumerate(changes)])
    report = arms_report(build.sweep(build.group(runs)), 8, metric=None, margin=None)
    assert report.comparison.metrics["val/loss"].p == pytest.approx(0.0390625)
    assert report.comparison.metrics["val/loss"].answer is Answer.WORSE
    assert report.answer.looks[-1].p == pytest.approx(0.0546875)
    assert report.verdict is report.comparison.verdict is Answer.INCONCLUSIVE


def test_more_failed_seeds_are_worse_whatever_the_metric_says(build, runs_of):
    report = arms_report(build.sweep(build.group(runs_of([1.0] * 9, [0.5] * 8 + [None]))), 12, metric=None, margin=None)
    assert report.answer.by_metric is Answer.BETTER
    assert report.verdict is Answer.WORSE


def test_no_pair_no_answer(build, runs_of):
    with pytest.raises(RecipeError, match="resume the sweep"):
        arms_report(build.sweep(build.group(runs_of([1.0], []))), 12, metric=None, margin=None)
