from dataclasses import replace
from pathlib import Path

import pytest

from stabilimeter.analysis.side import Side
from stabilimeter.present.baseline_gate import gate_with_baseline
from stabilimeter.present.checks import Check, CheckError
from stabilimeter.present.gate import Verdict, gate
from stabilimeter.present.junit import junit_xml
from stabilimeter.present.terminal import render_gate, to_text
from stabilimeter.stats.stability import HalfPoints

PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
ENDS = (0.970, 0.972, 0.968, 0.971, 0.969)


def group_of(build, ends=ENDS, label="base", **changes):
    group = build.group(label, len(ends))
    runs = [
        replace(
            run,
            seed=f"study_{index}",
            path=str(Path(label) / str(index)),
            metrics={"val/accuracy": replace(run.metrics["val/accuracy"], final=end)},
        )
        for index, (run, end) in enumerate(zip(group.runs, ends, strict=True))
    ]
    return replace(group, runs=tuple(runs), **changes)


def failing(group, which):
    runs = tuple(
        replace(run, failed=index in which, failure_reason="nonfinite: ..." if index in which else None)
        for index, run in enumerate(group.runs)
    )
    return replace(group, runs=runs, n_failed=len(which))


def relative(margin, score="val/accuracy"):
    return Check(score, "margin", margin, "checks.yaml:1")


def judge(build, checks, candidate, baseline=None):
    sides = [
        Side(name, group, None, HalfPoints())
        for name, group in (("baseline", baseline or group_of(build)), ("candidate", candidate))
    ]
    return gate_with_baseline(build.summary(candidate), checks, [tuple(sides)])


@pytest.mark.parametrize(
    ("shift", "margin", "verdict"),
    [(0.0, 0.01, PASS), (-0.005, 0.01, PASS), (-0.02, 0.01, FAIL), (-0.01, 0.01, INCONCLUSIVE), (0.02, 1e-9, PASS)],
)
def test_a_metric_is_judged_by_the_interval_of_the_difference(build, shift, margin, verdict):
    candidate = group_of(build, [end + shift for end in ENDS])
    result, failures = judge(build, [relative(margin)], candidate).results
    assert result.verdict is verdict
    assert result.value == pytest.approx(shift, abs=1e-12)
    assert result.low < shift < result.high
    assert failures.verdict is PASS


def test_an_undecided_check_says_how_many_seeds_would_tell(build):
    wide = group_of(build, [0.93, 0.99, 0.96, 1.0, 0.95])
    result = judge(build, [relative(0.01)], wide)
    check = result.results[0]
    assert (check.verdict, result.verdict) == (INCONCLUSIVE, INCONCLUSIVE)
    assert check.n_needed > 5
    assert check.reason == f"about {check.n_needed} seeds on each side would tell"
    assert result.to_dict()["checks"][0]["n_needed"] == check.n_needed
    assert result.to_dict()["checks"][0]["bound"] == "not worse than baseline, margin 0.01"


def test_a_new_failed_seed_fails_without_being_asked_for(build):
    candidate = failing(group_of(build), {2})
    result = judge(build, [relative(0.1)], candidate)
    metric, failures = result.results
    assert (metric.verdict, failures.verdict, result.verdict) == (PASS, FAIL, FAIL)
    assert (failures.check.score, failures.value) == ("failure_rate", pytest.approx(0.2))
    assert failures.reason == "1 of 5 seeds failed, 0 of 5 in the baseline"
    known = judge(build, [relative(0.1)], candidate, baseline=failing(group_of(build), {0}))
    assert known.verdict is PASS


def test_a_rule_of_ones_own_for_failures_replaces_that(build):
    candidate = failing(group_of(build), {2})
    lenient = judge(build, [relative(0.2, "failure_rate")], candidate)
    assert [(check.check.limit, check.verdict) for check in lenient.results] == [(0.2, PASS)]
    assert judge(build, [relative(0.1, "failure_rate")], candidate).verdict is FAIL


def test_bounds_and_margins_in_one_file(build):
    checks = [Check("failure_rate", "max", 0.0, "checks.yaml:1"), relative(0.01)]
    result = judge(build, checks, group_of(build))
    assert [check.check.bound for check in result.results] == [
        "max 0",
        "not worse than baseline, margin 0.01",
        "not worse than baseline, margin 0",
    ]
    assert result.verdict is PASS


def test_running_seeds_hold_back_a_pass_but_not_a_failure(build):
    running = group_of(build, n_running=2)
    assert judge(build, [relative(0.01)], running).results[0].reason == "2 seeds still running"
    assert judge(build, [relative(0.01)], running).verdict is INCONCLUSIVE
    worse = group_of(build, [end - 0.05 for end in ENDS], n_running=2)
    assert judge(build, [relative(0.01)], worse).results[0].verdict is FAIL


def test_stability_without_the_runs_is_inconclusive(build):
    result = judge(build, [relative(5.0, "stability")], group_of(build)).results[0]
    assert result.verdict is INCONCLUSIVE
    assert "compare the folders" in result.reason


def test_what_cannot_be_compared_is_named(build):
    with pytest.raises(CheckError, match=r"checks.yaml:1: 'noise' cannot be compared .* failure_rate, val/accuracy"):
        judge(build, [relative(0.1, "noise")], group_of(build))


def test_a_margin_without_a_baseline_is_a_mistake(build):
    with pytest.raises(CheckError, match=r"checks.yaml:1: 'not_worse_than: baseline' needs --baseline DIR"):
        gate(build.summary(group_of(build)), [relative(0.1)])


def test_terminal_and_junit_show_the_margin(build):
    result = judge(build, [relative(0.01)], group_of(build, [end - 0.05 for end in ENDS]))
    text = to_text(render_gate(result), 120)
    assert "fail          val/accuracy not worse than baseline, margin 0.01  -0.05000 [" in text
    assert 'name="val/accuracy not worse than baseline, margin 0.01"' in junit_xml(result)
