import math

import numpy as np
import pytest
from scipy import stats

from stabilimeter.stats.checkpoint_verdict import Rule, Verdict, judged_by_examples, judged_by_noise, not_finite
from stabilimeter.stats.evaluation_noise import EvaluationNoise, series_noise
from stabilimeter.stats.paired import PairedTest, paired_correctness

NOISE = EvaluationNoise(0.01, 12.0, "series noise")


@pytest.mark.parametrize(("mode", "difference", "verdict"), [
    ("max", 0.1, Verdict.BETTER), ("max", -0.1, Verdict.WORSE),
    ("min", 0.1, Verdict.WORSE), ("min", -0.1, Verdict.BETTER),
])  # fmt: skip
def test_direction(mode, difference, verdict):
    found = judged_by_examples(PairedTest(difference, 0.01, 0.001, "mcnemar"), 7, Rule(mode))
    assert (found.verdict, found.step, found.difference) == (verdict, 7, difference)


def test_p_of_noise_is_student_times_the_candidates():
    found = judged_by_noise(0.95, 0.97, 3, NOISE, Rule("max"), num_candidates=4, reference_variance=0.449)
    t = 0.02 / (0.01 * math.sqrt(1.449))
    assert found.p == pytest.approx(4 * 2 * stats.t.sf(t, 12))
    assert found.se == pytest.approx(0.01 * math.sqrt(1.449))


def test_a_certain_difference_within_the_margin_is_none():
    test = PairedTest(-0.004, 0.0001, 1e-9, "paired t")
    assert judged_by_examples(test, 3, Rule("max", min_difference=0.005)).verdict is Verdict.SAME
    assert judged_by_examples(test, 3, Rule("max", min_difference=0.003)).verdict is Verdict.WORSE


def test_without_any_noise_every_difference_counts():
    flat = EvaluationNoise(0.0, 5.0, "seed noise")
    assert judged_by_noise(0.9, 0.9, 1, flat, Rule("max")).verdict is Verdict.SAME
    assert judged_by_noise(0.8, 0.9, 1, flat, Rule("max")).verdict is Verdict.WORSE


@pytest.mark.parametrize(("value", "reference", "verdict"), [
    (math.nan, 0.9, Verdict.WORSE), (0.9, math.inf, Verdict.BETTER), (math.nan, math.nan, Verdict.SAME),
])  # fmt: skip
def test_what_is_not_finite(value, reference, verdict):
    assert not_finite(value, reference, 1).verdict is verdict


def share_worse(rng, drop, num_runs=400, num_examples=500, num_evaluations=12):
    """How often the last evaluation is called worse than the best before: paired, and by the noise of the metric."""
    rule, paired, by_noise = Rule("max"), 0, 0
    for _ in range(num_runs):
        easy = rng.beta(8, 1, num_examples)
        outcomes = rng.random((num_evaluations, num_examples)) < easy
        outcomes[-1] &= rng.random(num_examples) >= drop
        accuracy = outcomes.mean(axis=1)
        best = int(np.argmax(accuracy[:-1]))
        test = paired_correctness(outcomes[best], outcomes[-1])
        paired += judged_by_examples(test, best, rule, num_evaluations - 1).verdict is Verdict.WORSE
        noise = series_noise(accuracy[:-1])
        against = judged_by_noise(accuracy[-1], accuracy[best], best, noise, rule, num_candidates=num_evaluations - 1)
        by_noise += against.verdict is Verdict.WORSE
    return paired / num_runs, by_noise / num_runs


def test_the_best_of_many_is_no_false_alarm():
    paired, by_noise = share_worse(np.random.default_rng(0), drop=0.0)
    assert paired <= 0.05
    assert by_noise <= 0.05


def test_a_real_regression_is_found():
    paired, _ = share_worse(np.random.default_rng(1), drop=0.1, num_runs=100)
    assert paired > 0.9
