import itertools

import numpy as np
import pytest
from scipy import stats

from stabilimeter.stats.paired import mcnemar_p, paired_correctness, paired_difference


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (5, 0), (3, 9), (9, 3), (40, 22), (700, 640)])
def test_mcnemar_is_the_two_sided_binomial_test(b, c):
    expected = stats.binomtest(b, b + c, 0.5).pvalue if b + c else 1.0
    assert mcnemar_p(b, c) == pytest.approx(expected, rel=1e-9)


def test_examples_that_did_not_change_do_not_matter():
    old, new = np.array([True] * 7 + [False]), np.array([False] * 7 + [True])
    more_old, more_new = (np.concatenate([side, np.ones(1000, bool)]) for side in (old, new))
    few, many = paired_correctness(old, new), paired_correctness(more_old, more_new)
    assert few.p == many.p == pytest.approx(2 * (1 + 8) / 2**8)
    assert (few.difference, many.difference) == (-6 / 8, -6 / 1008)


def test_standard_error_of_the_difference_is_that_of_the_mean_of_its_values():
    rng = np.random.default_rng(0)
    old, new = rng.random(300) < 0.8, rng.random(300) < 0.7
    values = new.astype(float) - old
    result = paired_correctness(old, new)
    assert result.difference == pytest.approx(values.mean())
    assert result.se == pytest.approx(values.std(ddof=1) / np.sqrt(300))


def test_few_losses_are_tested_by_all_patterns_of_signs():
    differences = np.array([0.3, -0.1, 0.4, 0.2, 0.6])
    sums = [np.dot(signs, differences) for signs in itertools.product([-1, 1], repeat=5)]
    one_sided = np.mean(np.array(sums) >= differences.sum() - 1e-12)
    result = paired_difference(differences)
    assert (result.test, result.p) == ("sign flip", pytest.approx(2 * one_sided))


def test_many_losses_are_tested_by_student():
    differences = np.random.default_rng(1).normal(0.1, 1.0, 200)
    result = paired_difference(differences)
    expected = stats.ttest_1samp(differences, 0.0)
    assert (result.test, result.p) == ("paired t", pytest.approx(expected.pvalue))
    assert result.difference / result.se == pytest.approx(expected.statistic)


@pytest.mark.parametrize(("value", "p"), [(0.0, 1.0), (0.5, 0.0)])
def test_differences_without_any_spread(value, p):
    assert paired_difference(np.full(50, value)).p == p


def test_what_cannot_be_paired_is_refused():
    with pytest.raises(ValueError, match=r"\(3,\) and \(2,\)"):
        paired_correctness(np.ones(3, bool), np.ones(2, bool))
    with pytest.raises(ValueError, match="finite"):
        paired_difference(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="-1"):
        mcnemar_p(-1, 3)
