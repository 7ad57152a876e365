"""Incidents that several seeds have at the same step: one event in the data or the schedule, not many."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

ALPHA = 1e-3
MIN_SEEDS = 3


def chance_of_at_least(count: int, probabilities: NDArray[np.float64]) -> float:
    """Probability that at least ``count`` of independent events happen (Poisson binomial, by convolution).

    Args:
        count: Number of events, at least 0.
        probabilities: Probability of each event, shape ``(n,)``; equal ones give the binomial distribution.

    >>> round(chance_of_at_least(2, np.array([0.5, 0.5, 0.5])), 3)
    0.5
    """
    distribution = np.ones(1)
    for p in probabilities:
        distribution = np.convolve(distribution, [1 - p, p])
    return float(distribution[count:].sum())


def shared_steps(
    incident_steps: Sequence[NDArray[np.int64]], axes: Iterable[NDArray[np.int64]], alpha: float = ALPHA
) -> list[int]:
    """Steps at which more seeds have an incident than chance explains.

    At each step the number of seeds with an incident is compared with what independent seeds would show, each with its
    own incident rate (incidents per logged step). Seeds that did not log the step, because they had ended, say
    nothing about it; at least three must have logged it, and at least two have the incident.

    Args:
        incident_steps: Onset of each incident of each seed.
        axes: All steps that each seed logged, increasing; looked at one after the other.
        alpha: Chance below which a coincidence counts as shared.

    Returns:
        Shared steps, increasing.

    >>> axis = np.arange(1000)
    >>> shared_steps([np.array([300, 700]), np.array([300]), np.array([300]), np.array([512])], [axis] * 4)
    [300]
    """
    onsets = [set(own.tolist()) for own in incident_steps]
    hits = Counter(step for own in onsets for step in own)
    candidates = np.array(sorted(step for step, hit in hits.items() if hit >= 2), dtype=np.int64)
    rates, logged = [], []
    for own, axis in zip(onsets, axes, strict=True):
        rates.append(len(own) / max(1, axis.size))
        logged.append(np.isin(candidates, axis))
    shared = []
    for place, step in enumerate(candidates.tolist()):
        there = np.array([rate for rate, own in zip(rates, logged, strict=True) if own[place]])
        if there.size >= MIN_SEEDS and chance_of_at_least(hits[step], there) < alpha:
            shared.append(step)
    return shared
