import itertools

import numpy as np
import pytest

from stabilimeter.stats.example_agreement import pairwise_churn, seed_sd, seed_variance, seed_variance_by_halves


def runs(rng, num_seeds, num_examples, true_sd):
    """Runs whose chance of being right differs between examples and, all examples alike, between runs."""
    difficulty = rng.uniform(0.3, 0.9, size=num_examples)
    shift = rng.normal(scale=true_sd, size=(num_seeds, 1))
    return rng.random((num_seeds, num_examples)) < difficulty + shift


def test_is_the_sum_of_covariances_between_different_examples():
    correct = runs(np.random.default_rng(0), 5, 12, 0.1)
    covariance = np.cov(correct.T.astype(float))
    assert seed_variance(correct) == pytest.approx((covariance.sum() - np.trace(covariance)) / 12**2)


def test_halves_average_to_the_same():
    correct = runs(np.random.default_rng(1), 4, 6, 0.1)

    class Fixed:
        def __init__(self, order):
            self.order = np.array(order)

        def permutation(self, n):
            return self.order

    halves = [[*chosen, *(k for k in range(6) if k not in chosen)] for chosen in itertools.combinations(range(6), 3)]
    average = np.mean([seed_variance_by_halves(correct, rng=Fixed(order)) for order in halves])
    assert average == pytest.approx(seed_variance(correct) * 6 / 5)


@pytest.mark.parametrize("true_sd", [0.0, 0.01])
def test_both_recover_the_true_spread(true_sd):
    rng = np.random.default_rng(2)
    found = []
    for _ in range(300):
        correct = runs(rng, 20, 1000, true_sd)
        found.append(
            [seed_variance(correct), seed_variance_by_halves(correct, rng=rng), correct.mean(axis=1).var(ddof=1)]
        )
    ours, halves, naive = np.mean(found, axis=0)
    error = np.std(found, axis=0) / np.sqrt(300)
    assert abs(ours - true_sd**2) < 4 * error[0]
    assert abs(halves - true_sd**2) < 4 * error[1]
    assert naive > true_sd**2 + 1.5e-4  # the variance on the test set, p (1 - p) / N too large


def test_no_spread_at_all():
    assert seed_variance(np.ones((3, 5), dtype=bool)) == 0
    assert seed_sd(-1e-9) == 0
    assert seed_sd(0.0004) == pytest.approx(0.02)


def test_churn_by_hand():
    predictions = np.array([[0, 1, 2, 3], [0, 1, 2, 0], [1, 1, 2, 0]])
    assert pairwise_churn(predictions).tolist() == [[0, 0.25, 0.5], [0.25, 0, 0.25], [0.5, 0.25, 0]]


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (5,)])
def test_too_little_is_refused(shape):
    with pytest.raises(ValueError, match="two seeds and two examples"):
        seed_variance(np.ones(shape, dtype=bool))
