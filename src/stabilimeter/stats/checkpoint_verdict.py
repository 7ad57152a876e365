"""Is this checkpoint better or worse than that one, or is the difference what chance makes of nothing?

A run compares each evaluation with the best of all that came before it. The best of k is the luckiest of k, so a plain
test against it cries wolf; its p value is therefore multiplied by k (Bonferroni: the test against the best is one of
the k tests against each). Then the chance of calling any evaluation worse, or better, though nothing has changed is at
most ``alpha``; measured in benchmarks/checkpoints.py.
"""

import math
from dataclasses import dataclass
from enum import Enum

from stabilimeter.stats.evaluation_noise import EvaluationNoise
from stabilimeter.stats.paired import PairedTest

ALPHA = 0.05
MEDIAN_OF_3_VARIANCE = 0.449
"""Variance of the median of three values, in units of the variance of one (Gaussian)."""


class Verdict(Enum):
    """How a checkpoint compares with an earlier one."""

    BETTER = "better"
    SAME = "same"
    WORSE = "worse"


@dataclass(frozen=True)
class Comparison:
    """A checkpoint against an earlier one.

    Attributes:
        step: Step of the earlier evaluation.
        verdict: The answer.
        difference: New minus old, in the unit of what was compared.
        se: Standard error of the difference.
        p: Two-sided, corrected for the choice of the best.
        test: What it was judged by: a test of `paired`, a noise of `evaluation_noise`, or ``"not finite"``.
    """

    step: int
    verdict: Verdict
    difference: float
    se: float
    p: float
    test: str


@dataclass(frozen=True)
class Rule:
    """When a difference counts.

    Attributes:
        mode: ``"min"`` or ``"max"``: which direction is better.
        alpha: Chance, at most, that an evaluation is not called the same though nothing has changed.
        min_difference: Differences up to this size are the same, however certain.
    """

    mode: str
    alpha: float = ALPHA
    min_difference: float = 0.0

    def verdict(self, difference: float, p: float) -> Verdict:
        """The answer for ``difference``, new minus old."""
        if not (p < self.alpha and abs(difference) > self.min_difference):
            return Verdict.SAME
        return Verdict.BETTER if (difference > 0) == (self.mode == "max") else Verdict.WORSE


def judged_by_examples(test: PairedTest, step: int, rule: Rule, num_candidates: int = 1) -> Comparison:
    """The answer of a paired test on the same examples.

    Args:
        test: Of this checkpoint against the earlier one.
        step: Step of the earlier one.
        rule: When a difference counts; its mode is that of the tested quantity.
        num_candidates: The earlier one is the best of so many.

    >>> judged_by_examples(PairedTest(-0.1, 0.03, 0.004, "mcnemar"), 90, Rule("max"), num_candidates=10).verdict
    <Verdict.WORSE: 'worse'>
    >>> judged_by_examples(PairedTest(-0.1, 0.03, 0.004, "mcnemar"), 90, Rule("max"), num_candidates=20).verdict
    <Verdict.SAME: 'same'>
    """
    p = min(1.0, test.p * num_candidates)
    return Comparison(step, rule.verdict(test.difference, p), test.difference, test.se, p, test.test)


def judged_by_noise(
    value: float,
    reference: float,
    step: int,
    noise: EvaluationNoise,
    rule: Rule,
    *,
    num_candidates: int = 1,
    reference_variance: float = 1.0,
) -> Comparison:
    """The answer where only the metric is known, and how much an evaluation scatters.

    Student's t of the difference, ``d / (sd * sqrt(1 + v))``.

    Args:
        value: Of this evaluation, finite.
        reference: Of the earlier one, or the best level, finite.
        step: Step of the earlier one.
        noise: Of one evaluation.
        rule: When a difference counts.
        num_candidates: The reference is the best of so many.
        reference_variance: v, variance of the reference in units of that of one evaluation.

    >>> noise = EvaluationNoise(0.01, 10.0, "series noise")
    >>> judged_by_noise(0.90, 0.97, 90, noise, Rule("max")).verdict
    <Verdict.WORSE: 'worse'>
    >>> judged_by_noise(0.95, 0.97, 90, noise, Rule("max")).verdict
    <Verdict.SAME: 'same'>
    """
    from scipy.special import stdtr

    difference, se = value - reference, noise.sd * math.sqrt(1 + reference_variance)
    t = abs(difference) / se if se > 0 else math.inf if difference else 0.0
    p = min(1.0, 2 * float(stdtr(noise.df, -t)) * num_candidates)
    return Comparison(step, rule.verdict(difference, p), difference, se, p, noise.source)


def not_finite(value: float, reference: float, step: int) -> Comparison:
    """The answer for a metric that is not finite: worse than any number, and anything finite is better than it."""
    worse_than = Verdict.WORSE if math.isfinite(reference) else Verdict.SAME
    verdict = Verdict.BETTER if math.isfinite(value) else worse_than
    return Comparison(step, verdict, value - reference, math.nan, math.nan, "not finite")
