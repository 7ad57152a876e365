import json
import math
from dataclasses import replace

import pytest

from stabilimeter.present.checks import Check, CheckError
from stabilimeter.present.gate import Verdict, gate, score_names
from stabilimeter.records import strict_json

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


def check(score, bound):
    side, limit = bound.split()
    return Check(score, side, float(limit), "checks.yaml:1")


def judge(build, group, score, bound):
    (result,) = gate(build.summary(group), [check(score, bound)]).results
    return result


@pytest.mark.parametrize(
    ("score", "bound", "verdict"),
    [
        # stability: 88.2 in [54, 96], judged by the interval.
        ("stability", "min 54", PASS),
        ("stability", "min 54.1", INCONCLUSIVE),
        ("stability", "min 96", INCONCLUSIVE),
        ("stability", "min 96.1", FAIL),
        ("stability", "max 96", PASS),
        ("stability", "max 53.9", FAIL),
        # Given that a seed completes: [81, 93].
        ("stability.given_completion", "min 81", PASS),
        ("stability.given_completion", "min 81.1", INCONCLUSIVE),
        ("stability.given_completion", "min 93.1", FAIL),
        # No seed of five failed: a fact, although the interval reaches 0.43.
        ("failure_rate", "max 0", PASS),
        ("failure_rate", "min 0.1", FAIL),
        # A metric: 0.9712 +- 0.004.
        ("val/accuracy", "min 0.96", PASS),
        ("val/accuracy", "min 0.97", INCONCLUSIVE),
        ("val/accuracy", "min 0.98", FAIL),
        ("val/accuracy", "max 0.98", PASS),
        ("val/accuracy.given_completion", "min 0.96", PASS),
        # A score of one seed: 0.03 in all of them.
        ("noise", "max 0.03", PASS),
        ("noise", "max 0.029", FAIL),
        ("quality", "min 0.59", PASS),
        ("quality", "min 0.6", FAIL),
        ("quality.given_completion", "min 0.59", PASS),
    ],
)
def test_verdicts_on_a_healthy_group(build, score, bound, verdict):
    assert judge(build, build.group(), score, bound).verdict is verdict


def test_every_observed_failure_counts(build):
    group = build.failed(n=5, n_failed=1)
    result = judge(build, group, "failure_rate", "max 0")
    assert (result.value, result.verdict) == (0.2, FAIL)
    assert result.reason == "1 of 5 seeds failed: seed 0 (nonfinite: train/loss is NaN from step 412)"
    assert judge(build, group, "failure_rate", "max 0.2").verdict is PASS
    assert judge(build, group, "failure_rate", "max 0.19").verdict is FAIL


def test_no_finished_seed_is_no_failure_rate(build):
    stability = build.stability(None, None, None, failure_rate=None, failure_ci=None, reason="no run has finished")
    result = judge(build, build.group(stability=stability), "failure_rate", "max 0")
    assert (result.value, result.verdict, result.reason) == (None, INCONCLUSIVE, "no seed has finished")


def test_without_an_interval_nothing_is_decided(build):
    stability = build.stability(
        99.0, None, None, given_completion=None, reason="no interval: 1 measured seed, 3 needed"
    )
    group = build.group(n=1, stability=stability)
    for score in ("stability", "stability.given_completion"):
        result = judge(build, group, score, "min 10")
        assert (result.verdict, result.reason) == (INCONCLUSIVE, "no interval: 1 measured seed, 3 needed")
    result = judge(build, group, "val/accuracy", "min 0.5")
    assert (result.verdict, result.reason) == (INCONCLUSIVE, "1 seed with a value, an interval needs 3")


def test_failed_seeds_alone_can_put_a_score_out_of_reach(build):
    # Five of five failed: Wilson's lower limit of the failure rate is 0.566, so no score above 43.4 is left.
    stability = build.stability(0.0, None, None, given_completion=None, failure_rate=1.0, failure_ci=(0.566, 1.0))
    group = build.failed(n=5, n_failed=5, stability=stability)
    result = judge(build, group, "stability", "min 44")
    assert (result.verdict, result.reason) == (FAIL, "5 failed, which leaves a score of 43 at most (95 %)")
    assert judge(build, group, "stability", "min 43").verdict is INCONCLUSIVE
    assert judge(build, group, "stability.given_completion", "min 44").verdict is INCONCLUSIVE


def test_a_score_with_a_part_not_measured_decides_nothing(build):
    measured, partly = build.stability(), build.stability(not_measured=("regression",))
    for score, bound, verdict in [("stability", "min 50", PASS), ("stability", "min 97", FAIL)]:
        assert judge(build, build.group(stability=measured), score, bound).verdict is verdict
        result = judge(build, build.group(stability=partly), score, bound)
        assert (result.verdict, result.reason) == (INCONCLUSIVE, "not measured: regression")


def test_the_value_given_completion_leaves_failures_out(build):
    stability = build.stability(40.0, 20.0, 60.0, given_completion=(70.0, 90.0), failure_rate=0.5)
    assert judge(build, build.group(stability=stability), "stability.given_completion", "min 60").value == 80.0


def test_a_running_seed_keeps_a_pass_open_but_not_a_failure(build):
    runs = (*(build.run(i) for i in range(3)), build.run(3, status="running"))
    group = build.group(n=4, runs=runs, n_running=1)
    for score, bound in [("stability", "min 50"), ("failure_rate", "max 0"), ("noise", "max 1")]:
        result = judge(build, group, score, bound)
        assert (result.verdict, result.reason) == (INCONCLUSIVE, "1 seed still running")
    assert judge(build, group, "stability", "min 97").verdict is FAIL


def test_a_metric_needs_a_value_from_every_seed_to_pass(build):
    group = build.group(metrics={"val/accuracy": build.metric(n=4)})
    result = judge(build, group, "val/accuracy", "min 0.96")
    assert (result.verdict, result.reason) == (INCONCLUSIVE, "1 of 5 seeds without a finite final val/accuracy")
    assert judge(build, group, "val/accuracy", "min 0.98").verdict is FAIL


def test_given_completion_looks_at_the_survivors(build):
    group = build.failed(
        n=5,
        n_failed=1,
        metrics={"val/accuracy": build.metric(n=4)},
        metrics_ok={"val/accuracy": build.metric(n=4)},
    )
    assert judge(build, group, "val/accuracy", "min 0.96").verdict is INCONCLUSIVE
    assert judge(build, group, "val/accuracy.given_completion", "min 0.96").verdict is PASS


def test_a_metric_that_one_group_lacks_is_inconclusive_there(build):
    summary = build.summary(build.group("a"), build.group("b", metrics={}))
    results = gate(summary, [check("val/accuracy", "min 0.9")]).results
    assert [(r.group, r.verdict, r.reason) for r in results] == [
        ("a", PASS, ""),
        ("b", INCONCLUSIVE, "no seed has a finite val/accuracy"),
    ]


def with_noise(build, *values):
    runs = [build.run(seed, scores={"noise": value}) for seed, value in enumerate(values)]
    return build.group(n=len(values), runs=tuple(runs))


def test_a_score_of_one_seed_is_judged_by_the_worst(build):
    result = judge(build, with_noise(build, 0.01, 0.05, 0.02), "noise", "max 0.04")
    assert (result.value, result.low, result.high, result.verdict) == (0.05, 0.01, 0.05, FAIL)
    assert result.reason == "1 of 3 seeds: seed 1"
    assert judge(build, with_noise(build, 0.01, 0.05, 0.02), "noise", "min 0.005").value == 0.01


def test_a_seed_that_was_not_measured_keeps_a_pass_open(build):
    assert judge(build, with_noise(build, 0.01, None, 0.02), "noise", "max 0.04").reason == "not measured in seed 1"
    assert judge(build, with_noise(build, 0.01, None, 0.02), "noise", "max 0.04").verdict is INCONCLUSIVE
    assert judge(build, with_noise(build, 0.01, math.nan, 0.02), "noise", "max 0.04").verdict is INCONCLUSIVE
    assert judge(build, with_noise(build, 0.01, None, 0.05), "noise", "max 0.04").verdict is FAIL
    assert judge(build, with_noise(build, None, None, None), "noise", "max 0.04").verdict is INCONCLUSIVE


def test_failed_seeds_count_for_a_score_of_one_seed_unless_left_out_by_name(build):
    group = with_noise(build, 0.9, 0.01, 0.02)
    group = replace(group, runs=(replace(group.runs[0], failed=True), *group.runs[1:]), n_failed=1)
    assert judge(build, group, "noise", "max 0.04").verdict is FAIL
    assert judge(build, group, "noise.given_completion", "max 0.04").verdict is PASS


def test_copies_and_cancelled_runs_count_nowhere(build):
    group = with_noise(build, 0.01, 0.9, 0.9)
    runs = (group.runs[0], replace(group.runs[1], copy_of="a"), replace(group.runs[2], status="cancelled"))
    assert judge(build, replace(group, runs=runs, n_cancelled=1), "noise", "max 0.04").verdict is PASS


def test_every_group_must_pass_and_the_worst_answer_wins(build):
    good, bad = build.group("good"), build.failed("bad")
    unsure = build.group("unsure", stability=build.stability(low=40.0))
    checks = [check("failure_rate", "max 0"), check("stability", "min 50")]
    assert gate(build.summary(good), checks).verdict is PASS
    assert gate(build.summary(good, unsure), checks).verdict is INCONCLUSIVE
    result = gate(build.summary(good, unsure, bad), checks)
    assert result.verdict is FAIL
    assert [(r.group, r.check.score) for r in result.results if r.verdict is FAIL] == [("bad", "failure_rate")]


def test_an_unknown_score_lists_what_there_is_nearest_first(build):
    with pytest.raises(CheckError) as caught:
        gate(build.summary(), [check("failure_rat", "max 0")])
    assert str(caught.value) == (
        "checks.yaml:1: unknown score 'failure_rat'; there are: failure_rate, spike_rate, stability, "
        "stability.given_completion, checkpoint_regression, noise, quality, val/accuracy "
        "(all but failure_rate also with .given_completion)"
    )
    with pytest.raises(CheckError, match=r"unknown score 'failure_rate\.given_completion'"):
        gate(build.summary(), [check("failure_rate.given_completion", "max 0")])


def test_every_listed_name_can_be_judged(build):
    summary = build.summary()
    names = score_names(summary)
    assert len(names) == 3 + 2 * 5
    assert len(gate(summary, [check(name, "max 1e9") for name in names]).results) == len(names)


def test_nothing_to_judge_is_not_a_pass(build):
    with pytest.raises(CheckError, match="no checks"):
        gate(build.summary(), [])
    with pytest.raises(CheckError, match="no groups"):
        gate(replace(build.summary(), groups=()), [check("stability", "min 1")])


def test_the_json_has_the_documented_layout(build):
    result = gate(build.summary(build.failed("bad", n=5, n_failed=1)), [check("failure_rate", "max 0")])
    assert json.loads(strict_json.dumps(result.to_dict())) == {
        "schema": 1,
        "verdict": "fail",
        "half_points": {
            "spikes": 0.001,
            "noise": 0.05,
            "regression": 0.1,
            "seed_spread": 0.05,
            "weights": {"spikes": 1.0, "noise": 1.0, "regression": 1.0, "seed_spread": 1.0},
            "version": 1,
        },
        "checks": [
            {
                "score": "failure_rate",
                "group": "bad",
                "value": 0.2,
                "low": 0.2,
                "high": 0.94,
                "bound": "max 0",
                "verdict": "fail",
                "n_needed": None,
                "reason": "1 of 5 seeds failed: seed 0 (nonfinite: train/loss is NaN from step 412)",
            }
        ],
    }
