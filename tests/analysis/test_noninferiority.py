from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from stabilimeter.analysis.comparison import ComparisonError
from stabilimeter.analysis.noninferiority import (
    failures_not_worse,
    matched_sides,
    metric_not_worse,
    stability_not_worse,
)
from stabilimeter.analysis.side import side_of, sides_of
from stabilimeter.analysis.summarize import summarize

GOOD = np.array([0.604, 0.598, 0.601, 0.597, 0.600])
WORSE = GOOD[::-1] + 0.010


@pytest.fixture
def side(build):
    """Makes a side whose runs end at the given values of ``val_loss``; runs of ``failed`` go to NaN."""
    build.n_steps, build.eval_every = 240, 12

    def make(name, finals, *, failed=(), label="base", sd=0.02, seed=0):
        runs = []
        for number, final in enumerate(finals):
            points = build.val_loss(seed + number)
            points.values[-1] = final
            loss = build.loss(seed + number, sd=sd)
            if number in failed:
                loss[150:] = np.nan
            run = build.foreign(number, val_loss=points, loss=build.points(loss))
            runs.append(replace(run, seed=f"study_{number}", path=Path(name) / label / f"{number}"))
        return side_of(name, build.sweep(build.group(runs, label)), rng=np.random.default_rng(0))

    return make


@pytest.fixture
def baseline(side):
    return side("baseline", GOOD)


def test_the_margin_decides_at_the_ends_of_welchs_interval(side, baseline):
    candidate = side("candidate", WORSE, seed=50)
    low, high = stats.ttest_ind(WORSE, GOOD, equal_var=False).confidence_interval()
    result = metric_not_worse(baseline, candidate, "val_loss", high * 1.001)
    assert (result.difference, result.low, result.high) == pytest.approx((0.010, low, high))
    assert (result.holds, result.n_needed) == (True, None)
    assert metric_not_worse(baseline, candidate, "val_loss", high * 0.999).holds is None
    assert metric_not_worse(baseline, candidate, "val_loss", low * 1.001).holds is None
    assert metric_not_worse(baseline, candidate, "val_loss", low * 0.999).holds is False


def test_a_better_candidate_passes_with_any_margin(side, baseline):
    assert metric_not_worse(side("candidate", WORSE), side("baseline", GOOD), "val_loss", 1e-6).holds is True
    assert metric_not_worse(baseline, side("candidate", GOOD - 0.010), "val_loss", 1e-6).holds is True


def test_where_higher_is_better(build, side):
    def as_accuracy(made):
        metrics = {**made.group.metrics, "val_loss": replace(made.group.metrics["val_loss"], mode="max")}
        return replace(made, group=replace(made.group, metrics=metrics))

    lower = as_accuracy(side("candidate", GOOD - 0.010)), as_accuracy(side("baseline", GOOD))
    assert metric_not_worse(lower[1], lower[0], "val_loss", 0.005).holds is False
    assert metric_not_worse(lower[0], lower[1], "val_loss", 0.005).holds is True
    mixed = metric_not_worse(lower[1], side("candidate", GOOD), "val_loss", 0.005)
    assert mixed.holds is None
    assert "--mode" in mixed.reason


def test_the_seeds_that_would_tell_do_tell(side, baseline):
    margin = 0.013
    undecided = metric_not_worse(baseline, side("candidate", WORSE), "val_loss", margin)
    assert undecided.holds is None
    n = undecided.n_needed
    rng = np.random.default_rng(1)
    sd = GOOD.std(ddof=1)
    first, second = rng.normal(0.6, sd, size=(2000, n)), rng.normal(0.61, sd, size=(2000, n))
    high = stats.ttest_ind(second, first, axis=1, equal_var=False).confidence_interval().high
    assert np.mean(high < margin) == pytest.approx(0.8, abs=0.05)


def test_error_rate_at_the_margin():
    """A candidate that is worse by exactly the margin passes in 2.5 % of cases."""
    rng = np.random.default_rng(2)
    passed = []
    for _ in range(1500):
        first, second = rng.normal(size=(2, 6))
        passed.append(metric_not_worse(Fake(first), Fake(second + 1), "m", 1.0).holds is True)
    assert np.mean(passed) == pytest.approx(0.025, abs=0.012)


class Fake:
    """A side that knows nothing but final values."""

    def __init__(self, values):
        self.values = {f"run_{index}": value for index, value in enumerate(values)}
        self.finished = self.survivors = [SeedOf(path) for path in self.values]
        self.name = "fake"

    def finals(self, tag):
        return self.values

    def mode(self, tag):
        return "min"


class SeedOf:
    def __init__(self, seed):
        self.seed = seed


def test_survivors_without_a_value_stop_a_pass(build, side, baseline):
    candidate = side("candidate", [*GOOD, np.nan])
    assert [run.failed for run in candidate.group.runs] == [False] * 5 + [True]  # a loss that ends in NaN is a failure
    metrics = [{"val_loss": run.metrics["val_loss"]} for run in candidate.group.runs]
    metrics[0] = {}
    runs = tuple(replace(run, metrics=own) for run, own in zip(candidate.group.runs, metrics, strict=True))
    gap = replace(candidate, group=replace(candidate.group, runs=runs))
    assert metric_not_worse(baseline, candidate, "val_loss", 1.0).holds is True
    result = metric_not_worse(baseline, gap, "val_loss", 1.0)
    assert result.holds is None
    assert "1 of 5 surviving seeds of the candidate without a finite final value" in result.reason


def test_one_survivor_tells_nothing(side, baseline):
    result = metric_not_worse(baseline, side("candidate", GOOD, failed={0, 1, 2, 3}), "val_loss", 1.0)
    assert (result.holds, result.difference) == (None, None)
    assert "2 surviving seeds" in result.reason


@pytest.mark.parametrize(
    ("before", "after", "margin", "holds"),
    [
        (0, 0, 0.0, True),
        (0, 1, 0.0, False),
        (1, 1, 0.0, True),
        (2, 1, 0.0, True),
        (0, 1, 0.2, True),
        (0, 2, 0.2, False),
    ],
)
def test_failures_count_as_observed(side, before, after, margin, holds):
    first, second = side("baseline", GOOD, failed=range(before)), side("candidate", GOOD, failed=range(after))
    result = failures_not_worse(first, second, margin)
    assert result.holds is holds
    assert result.difference == pytest.approx((after - before) / 5)
    assert result.low < result.difference < result.high
    assert result.reason == f"{after} of 5 seeds failed, {before} of 5 in the baseline"


def test_stability_by_the_interval_of_the_difference(side, baseline):
    shaky = side("candidate", GOOD, sd=0.3, seed=70)
    calm = stability_not_worse(baseline, side("candidate", GOOD, seed=70), 15.0, given_completion=True)
    assert calm.holds is True
    assert abs(calm.difference) < 5
    worse = stability_not_worse(baseline, shaky, 5.0, given_completion=True)
    assert worse.holds is False
    assert worse.high < -5
    assert stability_not_worse(baseline, shaky, -1.01 * worse.low, given_completion=True).holds is True
    assert stability_not_worse(baseline, shaky, -0.99 * worse.low, given_completion=True).holds is None
    whole = stability_not_worse(baseline, side("candidate", GOOD, seed=70), 15.0, given_completion=False)
    assert whole.holds is None  # five seeds each cannot rule out failures that nobody has seen
    assert whole.low < calm.low


def test_what_was_not_measured_stops_a_pass(build, side):
    def without_loss(made):
        runs = tuple(
            replace(run, _scalars={tag: own for tag, own in run._scalars.items() if tag != "loss"}) for run in made.runs
        )
        sweep = build.sweep(build.group(runs, "base"))
        return side_of(made.name, sweep, rng=np.random.default_rng(0))

    pair = without_loss(side("baseline", GOOD)), without_loss(side("candidate", GOOD, seed=50))
    result = stability_not_worse(*pair, 50.0, given_completion=True)
    assert result.low > -50
    assert result.holds is None
    assert result.reason == "not measured: spikes, noise"


def test_stability_of_summaries_has_no_common_scale(side, baseline):
    alone = replace(baseline, runs=None)
    result = stability_not_worse(alone, side("candidate", GOOD), 50.0, given_completion=True)
    assert result.holds is None
    assert "compare the folders" in result.reason


def test_groups_find_their_baseline(build, side):
    low, high = side("baseline", GOOD, label="lr=0.1"), side("baseline", GOOD, label="lr=0.3")
    candidates = [side("candidate", GOOD, label=label) for label in ("lr=0.3", "lr=0.1")]
    assert [own for own, _ in matched_sides([low, high], candidates)] == [high, low]
    assert [own for own, _ in matched_sides([low], candidates)] == [low, low]
    with pytest.raises(ComparisonError, match=r"no group 'lr=1'.*it has: lr=0.1, lr=0.3"):
        matched_sides([low, high], [side("candidate", GOOD, label="lr=1")])
    with pytest.raises(ComparisonError, match="on both sides"):
        matched_sides([low], [low])


def test_sides_of_a_summarised_sweep(build):
    build.n_steps = 100
    sweep = build.sweep(build.group([build.foreign(0), build.foreign(1)]), build.group([build.ours(0)], "other"))
    summary = summarize(sweep, rng=np.random.default_rng(0))
    first, second = sides_of("baseline", sweep, summary)
    assert (first.group, second.group) == summary.groups
    assert (first.runs, second.runs) == tuple(group.runs for group in sweep.groups)
