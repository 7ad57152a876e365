"""Incidents that several seeds have at the same step: one event in the data or the schedule, not many."""

from collections.abc import Sequence

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
    incident_steps: Sequence[NDArray[np.int64]], axes: Sequence[NDArray[np.int64]], alpha: float = ALPHA
) -> list[int]:
    """Steps at which more seeds have an incident than chance explains.

    At each step the number of seeds with an incident is compared with what independent seeds would show, each with its
    own incident rate (incidents per logged step). Seeds that did not log the step, because they had ended, say
    nothing about it; at least three must have logged it, and at least two have the incident.

    Args:
        incident_steps: Onset of each incident of each seed.
        axes: All steps that each seed logged, increasing.
        alpha: Chance below which a coincidence counts as shared.

    Returns:
        Shared steps, increasing.

    >>> axis = np.arange(1000)
    >>> shared_steps([np.array([300, 700]), np.array([300]), np.array([300]), np.array([512])], [axis] * 4)
    [300]
    """
    rates = np.array(
        [len(set(own.tolist())) / max(1, axis.size) for own, axis in zip(incident_steps, axes, strict=True)]
    )
    onsets = [set(own.tolist()) for own in incident_steps]
    shared = []
    for step in sorted(set().union(*onsets)):
        hit = sum(step in own for own in onsets)
        if hit < 2:
            continue
        logged = np.array([_contains(axis, step) for axis in axes])
        if logged.sum() >= MIN_SEEDS and chance_of_at_least(hit, rates[logged]) < alpha:
            shared.append(int(step))
    return shared


def _contains(axis: NDArray[np.int64], step: int) -> bool:
    position = int(np.searchsorted(axis, step))
    return position < axis.size and int(axis[position]) == step
