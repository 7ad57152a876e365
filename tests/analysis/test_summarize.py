import json

import numpy as np
import pytest

from stabilimeter.analysis.primary import UnknownMetricError
from stabilimeter.analysis.summarize import summarize
from stabilimeter.records import strict_json
from stabilimeter.records.manifest import RunStatus
from stabilimeter.stats.stability import HalfPoints

NAN = np.nan


def summary_of(build, runs, **options):
    return summarize(build.sweep(build.group(runs)), rng=np.random.default_rng(0), **options)


def group_of(build, runs, **options):
    return summary_of(build, runs, **options).groups[0]


def nan_run(build, seed):
    values = build.loss(seed)
    values[600:] = NAN
    return build.foreign(seed, loss=build.points(values))


def test_five_healthy_seeds(build):
    group = group_of(build, [build.foreign(seed) for seed in range(5)])
    finals = np.array([build.val_loss(seed).values[-1] for seed in range(5)])
    assert (group.n_runs, group.n_failed, group.n_running, group.n_cancelled) == (5, 0, 0, 0)
    assert group.metrics["val_loss"].mean == pytest.approx(finals.mean())
    assert group.metrics["val_loss"].sd == pytest.approx(finals.std(ddof=1))
    assert group.metrics == group.metrics_ok
    assert group.stability.score > 90
    assert group.stability.low < group.stability.score < group.stability.high
    assert group.stability.failure_rate == 0
    assert group.stability.failure_ci == pytest.approx((0.0, 0.434), abs=1e-3)
    assert group.notes == ()
    assert [run.seed for run in group.runs] == list(range(5))
    assert group.runs[2].path == "base/seed=2"
    assert group.runs[2].last_step == 999


def test_a_failed_seed_is_counted_in_and_its_metric_kept_apart(build):
    group = group_of(build, [*[build.foreign(seed) for seed in range(4)], nan_run(build, 4)])
    healthy = group_of(build, [build.foreign(seed) for seed in range(5)])
    assert group.n_failed == 1
    assert [run.failed for run in group.runs] == [False] * 4 + [True]
    assert group.runs[4].failure_reason.startswith("nonfinite")
    assert group.metrics["loss"].n == 4
    assert group.metrics["val_loss"].n == 5
    assert group.metrics_ok["val_loss"].n == 4
    assert group.stability.score < 0.85 * healthy.stability.score
    assert group.stability.points_lost["failures"] == max(group.stability.points_lost.values())


def test_the_score_does_not_depend_on_unit_and_origin(build):
    def moved(seed):
        loss, evaluated = build.loss(seed), build.val_loss(seed)
        return build.foreign(
            seed,
            loss=build.points(1000 * loss + 7),
            val_loss=build.points(1000 * evaluated.values + 7, evaluated.steps),
        )

    plain = group_of(build, [build.foreign(seed) for seed in range(5)]).stability
    other = group_of(build, [moved(seed) for seed in range(5)]).stability
    assert other.score == pytest.approx(plain.score, abs=1e-6)
    assert (other.low, other.high) == pytest.approx((plain.low, plain.high), abs=1e-6)


def test_worse_recipes_score_lower_than_their_clean_twin(build):
    def score(change):
        return group_of(build, [change(seed) for seed in range(5)]).stability.score

    def spiky(seed):
        values = build.loss(seed)
        values[np.random.default_rng(seed).choice(np.arange(100, 950), 10, replace=False)] += 2
        return build.foreign(seed, loss=build.points(values))

    def noisy(seed):
        return build.foreign(seed, loss=build.points(build.loss(seed, sd=0.2)))

    def regressing(seed):
        values = build.val_loss(seed).values.copy()
        values[[8, 15]] += 1.0
        return build.foreign(seed, val_loss=build.points(values, range(0, 1000, 50)))

    def spread(seed):
        return build.foreign(seed, val_loss=build.val_loss(seed, floor=0.6 + 0.2 * seed))

    clean = score(build.foreign)
    lost = {change.__name__: clean - score(change) for change in (spiky, noisy, regressing, spread)}
    assert min(lost.values()) > 10, lost


def test_all_failed(build):
    group = group_of(build, [nan_run(build, seed) for seed in range(3)])
    assert group.n_failed == 3
    assert group.stability.score == 0
    assert group.stability.points_lost["failures"] == 100
    assert group.metrics_ok["val_loss"].n == 0
    assert group.metrics_ok["val_loss"].mean is None
    assert group.runs[0].scores["noise"] is None


def test_one_seed_has_a_score_and_no_interval_and_says_so(build):
    group = group_of(build, [build.foreign(0)])
    assert group.stability.score > 80
    assert group.stability.low is None
    assert "no interval: 1 measured seed" in group.stability.reason
    assert "seed_spread" in group.stability.not_measured
    assert group.metrics["val_loss"].ci is None


def test_running_and_cancelled_seeds_are_in_neither_count(build):
    half = {"train/loss": build.points(build.loss(7)[:400]), "val/loss": None}
    runs = [
        *[build.ours(seed) for seed in range(3)],
        build.ours(7, status=RunStatus.RUNNING, manifest={"last_step": 399}, **half),
        build.ours(8, status=RunStatus.CANCELLED, manifest={"last_step": 399}, **half),
    ]
    group = group_of(build, runs)
    assert (group.n_runs, group.n_failed, group.n_running, group.n_cancelled) == (5, 0, 1, 1)
    assert group.stability.failure_ci == pytest.approx((0.0, 0.5615), abs=1e-3)
    assert group.metrics["train/loss"].n == 3
    assert not group.runs[3].failed
    assert group.runs[3].scores["noise"] is not None


def test_only_running_seeds(build):
    group = group_of(build, [build.ours(0, status=RunStatus.RUNNING)])
    assert group.stability.score is None
    assert group.stability.reason == "no run has finished"
    assert group.stability.failure_rate is None


def test_copies_are_counted_once_and_reported(build):
    copy = build._run(9, None, RunStatus.UNKNOWN, (), (), build.foreign(1)._scalars)
    with_copy = group_of(build, [*[build.foreign(seed) for seed in range(4)], copy])
    without = group_of(build, [build.foreign(seed) for seed in range(4)])
    assert with_copy.n_runs == 5
    assert with_copy.metrics["val_loss"] == without.metrics["val_loss"]
    assert with_copy.stability == without.stability
    assert with_copy.runs[4].copy_of == "base/seed=1"
    assert any("seed=9 repeats seed=1 bit for bit" in note for note in with_copy.notes)


def test_a_copy_does_not_make_a_spike_a_shared_one(build):
    values = build.loss(1)
    values[500] += 3.0
    spiky = build.foreign(1, loss=build.points(values))
    copy = build._run(9, None, RunStatus.UNKNOWN, (), (), spiky._scalars)
    group = group_of(build, [build.foreign(0), spiky, build.foreign(2), copy])
    assert not any(incident.shared for run in group.runs for incident in run.incidents)
    assert group.spike_rate.events == 1


def test_unequal_lengths_are_said_and_nothing_is_cut(build):
    short = build.foreign(
        0, loss=build.points(build.loss(0)[:500]), val_loss=build.points(build.val_loss(0).values[:10])
    )
    group = group_of(build, [short, build.foreign(1), build.foreign(2)])
    assert any("runs end between step 499 and step 999" in note for note in group.notes)
    assert group.bands["loss"].steps[-1] == 999
    assert group.bands["loss"].n[[0, -1]].tolist() == [3, 2]
    assert group.runs[0].metrics["loss"].final == build.loss(0)[499]


def test_missing_tags_are_named(build):
    runs = [build.foreign(0), build.foreign(1), build.foreign(2, val_loss=None)]
    group = group_of(build, runs)
    assert "seed=2: nothing logged for val_loss" in group.notes
    assert group.metrics["val_loss"].n == 2
    assert "regression" in group.stability.not_measured
    assert any(note.startswith("seed=2: regression not measured") for note in group.notes)


def test_evaluations_that_never_align_are_said(build):
    runs = [
        build.foreign(seed, val_loss=build.points(build.val_loss(seed).values, np.arange(20) * 50 + 3 * seed))
        for seed in range(3)
    ]
    group = group_of(build, runs)
    assert group.bands["val_loss"].n.tolist() == [3] * 20
    assert any(note.startswith("val_loss: logged at different steps") for note in group.notes)


def test_bands_of_the_main_series(build):
    extra = {"grad/norm": build.points(np.ones(1000)), "update/ratio": build.points(np.ones(1000))}
    runs = [
        build.ours(seed, **extra, **{"val/acc": build.points([0.1, 0.9], [0, 999]), "time/step_s": build.points([1.0])})
        for seed in range(3)
    ]
    group = group_of(build, runs)
    assert list(group.bands) == ["train/loss", "grad/norm", "update/ratio", "val/loss", "val/acc"]
    assert group.bands["train/loss"].steps.size == 1000


def test_notes_of_the_reader_are_passed_on(build):
    runs = [build.foreign(0, notes=["torn tail"]), build.foreign(1, notes=["torn tail"]), build.foreign(2)]
    assert "seed=0, seed=1: torn tail" in group_of(build, runs).notes
    assert summarize(
        build.sweep(build.group(runs), notes=["two folders skipped"]), rng=np.random.default_rng(0)
    ).notes == ("two folders skipped",)


def test_groups_with_different_primary_metrics(build):
    wmt = build.group([build.foreign(seed) for seed in range(3)], "wmt")
    ctc = {"val/ctc_loss": build.val_loss(), "val_loss": None}
    speech = build.group([build.foreign(seed, **ctc) for seed in range(3)], "speech")
    summary = summarize(build.sweep(wmt, speech), rng=np.random.default_rng(0))
    assert summary.primary_metric is None
    assert [group.primary_metric for group in summary.groups] == ["val_loss", "val/ctc_loss"]
    assert "wmt: val_loss, speech: val/ctc_loss" in summary.notes[0]


def test_progress_is_told_twice_per_run(build):
    told = []
    groups = [build.group([build.foreign(0), build.foreign(1)], "a"), build.group([build.foreign(0)], "b")]
    summarize(build.sweep(*groups), rng=np.random.default_rng(0), on_progress=lambda *done: told.append(done))
    assert told == [(done, 6) for done in range(1, 7)]


def test_spike_rate_of_the_group_with_its_interval(build):
    values = build.loss(2)
    values[[300, 700]] += 3.0
    group = group_of(build, [build.foreign(0), build.foreign(1), build.foreign(2, loss=build.points(values))])
    assert group.spike_rate.events == 2
    assert group.spike_rate.rate == pytest.approx(2 / 3000)
    # Garwood: 0.2422 and 7.2247 events
    assert (group.spike_rate.low, group.spike_rate.high) == pytest.approx((0.2422 / 3000, 7.2247 / 3000), rel=1e-3)
    assert group_of(build, [build.foreign(0, loss=None)]).spike_rate is None


def test_bad_requests(build):
    runs = [build.foreign(0)]
    with pytest.raises(UnknownMetricError, match=r"no run has the metric 'val/acc'; there are: .*val_loss"):
        summary_of(build, runs, metric="val/acc")
    with pytest.raises(ValueError, match="'min' or 'max', got 'up'"):
        summary_of(build, runs, mode="up")
    with pytest.raises(ValueError, match="t, bootstrap-t, got 'bca'"):
        summary_of(build, runs, interval="bca")
    with pytest.raises(UnknownMetricError, match="a target needs a primary metric"):
        summary_of(build, [build.foreign(0, val_loss=None)], target=1.0)


def test_options_are_used(build):
    runs = [build.foreign(seed) for seed in range(5)]
    plain = group_of(build, runs)
    assert group_of(build, runs, target=0.1).n_failed == 5
    assert group_of(build, runs, metric="loss").primary_metric == "loss"
    assert group_of(build, runs, interval="bootstrap-t").metrics["loss"].method == "bootstrap-t"
    strict = group_of(build, runs, half_points=HalfPoints(noise=0.001))
    assert strict.stability.score < plain.stability.score - 20
    rising = build.foreign(9, loss=build.points(build.loss(9)[::-1].copy()))
    assert group_of(build, [*runs, rising]).n_failed == 1
    assert group_of(build, [*runs, rising], expect_progress=False).n_failed == 0


def test_json_has_the_layout_of_the_contract(build):
    runs = [*[build.foreign(seed) for seed in range(3)], nan_run(build, 3)]
    plain = json.loads(strict_json.dumps(summary_of(build, runs).to_dict()))
    assert plain["schema"] == 1
    assert plain["primary_metric"] == "val_loss"
    assert plain["half_points"]["noise"] == 0.05
    group = plain["groups"][0]
    assert {
        "key", "label", "n_runs", "n_failed", "n_running", "n_cancelled", "runs", "metrics", "metrics_ok", "stability"
    } <= set(group)  # fmt: skip
    assert "bands" not in group
    assert set(group["stability"]) == {
        "score", "low", "high", "given_completion", "not_measured", "reason",
        "failure_rate", "failure_ci", "points_lost",
    }  # fmt: skip
    assert set(group["metrics"]["val_loss"]) == {
        "mode", "n", "mean", "sd", "iqm", "median", "iqr", "min", "max", "ci", "level", "method", "expected_best"
    }  # fmt: skip
    failed = group["runs"][3]
    assert {"path", "seed", "status", "failed", "failure_reason", "last_step", "incidents", "metrics", "scores"} <= set(
        failed
    )
    assert failed["metrics"]["loss"]["final"] == "NaN"
    assert failed["metrics"]["loss"]["n_nonfinite"] == 400
    assert failed["incidents"][0]["kind"] == "nonfinite"
    assert failed["incidents"][0]["value"] == "NaN"
    assert set(failed["incidents"][0]) >= {"kind", "key", "step", "end_step", "value", "baseline", "shared"}
    assert {"spike_rate", "noise", "checkpoint_regression", "quality"} <= set(failed["scores"])


def test_logs_without_anything_useful(build):
    group = group_of(build, [build.log({"lr": build.points([0.1, 0.1])}), build.log({}, seed=1)])
    assert group.stability.score is None
    assert group.stability.reason == "nothing could be measured"
    assert group.n_failed == 0


def test_nan_everywhere(build):
    nothing = {"loss": build.points(np.full(1000, NAN)), "val_loss": build.points(np.full(20, NAN))}
    group = group_of(build, [build.foreign(seed, **nothing) for seed in range(3)])
    assert group.n_failed == 3
    assert group.stability.score == 0
    assert group.metrics["loss"].n == 0
