"""How far seeds agree, example by example: test-set noise apart from real differences, and churn."""

import math

import numpy as np
from numpy.typing import NDArray


def seed_variance(correct: NDArray[np.bool_]) -> float:
    """Variance over seeds of the accuracy on the distribution that the examples come from, test-set noise taken out.

    Two seeds differ on one test set by the luck of its examples alone: the accuracy of a calibrated binary classifier
    has a variance of ``error / (2 N)`` over seeds that are all equally good on new data. What is left is real:

    ``s^2 - (1 / N^2) sum_j p_j (1 - p_j) R / (R - 1)``

    with s^2 the sample variance of the R accuracies and p_j the share of runs right on example j: the covariances
    between *different* examples, summed, over N^2. Unbiased, so it may be negative where there is nothing; report
    `seed_sd`. Jordan 2023, "On the variance of neural network training with respect to test sets and distributions".

    Args:
        correct: Which run gets which example right, shape ``(num_seeds, num_examples)``, two seeds or more.

    >>> correct = np.array([[1, 1, 1, 1], [0, 0, 0, 0]], dtype=bool)  # one run right on all, one on none
    >>> seed_variance(correct), seed_variance(np.array([[1, 0, 1, 0], [0, 1, 0, 1]], dtype=bool))
    (0.375, -0.125)
    """
    outcomes = _checked(correct)
    runs, n = outcomes.shape
    share = outcomes.mean(axis=0)
    of_examples = np.sum(share * (1 - share)) * runs / (runs - 1)
    return float(outcomes.mean(axis=1).var(ddof=1) - of_examples / n**2)


def seed_variance_by_halves(correct: NDArray[np.bool_], *, rng: np.random.Generator) -> float:
    """The same, estimated as the covariance over seeds of the accuracies on two random halves of the examples.

    What makes a run better on one half but not on the other is noise of the test set. Averaged over all ways to halve
    them it is ``N / (N - 1)`` times `seed_variance`; one alone is noisier, and an independent check. Jordan 2023.

    Args:
        correct: As for `seed_variance`; two examples or more.
        rng: Chooses the halves.
    """
    outcomes = _checked(correct)
    order = rng.permutation(outcomes.shape[1])
    half = order.size // 2
    first, second = outcomes[:, order[:half]].mean(axis=1), outcomes[:, order[half:]].mean(axis=1)
    return float(np.sum((first - first.mean()) * (second - second.mean()))) / (len(outcomes) - 1)


def seed_sd(variance: float) -> float:
    """Standard deviation from an unbiased estimate of a variance: 0 where that is negative."""
    return math.sqrt(max(0.0, variance))


def pairwise_churn(predictions: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of examples on which two runs disagree, for every pair of runs.

    Milani Fard et al. 2016, "Launch and iterate"; between seeds: Summers and Dinneen 2021.

    Args:
        predictions: Class that each run predicts for each example (or whether it is right), shape ``(num_seeds,
            num_examples)``.

    Returns:
        Shape ``(num_seeds, num_seeds)``, symmetric, with zeros on the diagonal.

    >>> pairwise_churn(np.array([[3, 1, 4, 1], [3, 1, 5, 9], [3, 1, 4, 1]]))[1]
    array([0.5, 0. , 0.5])
    """
    runs = np.asarray(predictions)
    if runs.ndim != 2 or runs.size == 0:
        raise ValueError(f"predictions must have the shape (num_seeds, num_examples), got {runs.shape}")
    return np.array([np.mean(runs != own, axis=1) for own in runs])


def _checked(correct: NDArray[np.bool_]) -> NDArray[np.float64]:
    outcomes = np.asarray(correct, dtype=bool)
    if outcomes.ndim != 2 or len(outcomes) < 2 or outcomes.shape[1] < 2:
        raise ValueError(f"two seeds and two examples are needed, got outcomes of shape {outcomes.shape}")
    return outcomes.astype(np.float64)
