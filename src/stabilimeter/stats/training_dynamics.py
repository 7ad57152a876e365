"""How sure a model is of each example as training goes on: the map of a data set.

Swayamdipta et al. 2020, "Dataset cartography", section 2: *confidence* is the mean over evaluations of the probability
of the true class, *variability* its standard deviation (of the population, as there), *correctness* the share of
evaluations that get the example right. Examples of low confidence are hard or wrongly labelled, those of high
variability ambiguous. There it is the training set after each epoch; here it is whatever is evaluated.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


class Dynamics(NamedTuple):
    """What is known of each of n examples; one evaluation after the other is added by `evaluated`.

    Attributes:
        evaluations: How many there were.
        mean: Mean probability of the true class, ``(n,)``.
        squares: Sum of squared distances from that mean, ``(n,)``.
        right: How often each example was right, ``(n,)``.
    """

    evaluations: int
    mean: Values
    squares: Values
    right: Values

    @property
    def confidence(self) -> Values:
        """Mean probability of the true class, ``(n,)``."""
        return self.mean

    @property
    def variability(self) -> Values:
        """Its standard deviation over evaluations, ``(n,)``."""
        return np.sqrt(self.squares / self.evaluations)

    @property
    def correctness(self) -> Values:
        """Share of the evaluations that got the example right, ``(n,)``."""
        return self.right / self.evaluations


def begun(n: int) -> Dynamics:
    """The dynamics of ``n`` examples before the first evaluation."""
    return Dynamics(0, np.zeros(n), np.zeros(n), np.zeros(n))


def evaluated(dynamics: Dynamics, probability: Values, correct: NDArray[np.bool_]) -> Dynamics:
    """The dynamics after one more evaluation of the same examples in the same order.

    Args:
        dynamics: What was known before.
        probability: Of the true class, ``(n,)``; ``exp(-loss)`` where the loss is a cross entropy. Where a model gives
            no probabilities, 1 for right and 0 for wrong: then confidence is correctness.
        correct: Whether each example is right, ``(n,)``.

    >>> dynamics = begun(2)
    >>> for probability in ([0.9, 0.2], [0.9, 0.8]):
    ...     dynamics = evaluated(dynamics, np.array(probability), np.array(probability) > 0.5)
    >>> dynamics.confidence.round(3).tolist(), dynamics.variability.round(3).tolist(), dynamics.correctness.tolist()
    ([0.9, 0.5], [0.0, 0.3], [1.0, 0.5])
    """
    probability = np.asarray(probability, dtype=np.float64)
    if not probability.shape == np.shape(correct) == dynamics.mean.shape:
        raise ValueError(
            f"one value for each of {dynamics.mean.size} examples is needed, got {probability.shape} and "
            f"{np.shape(correct)}"
        )
    count = dynamics.evaluations + 1
    off = probability - dynamics.mean
    mean = dynamics.mean + off / count
    squares = dynamics.squares + off * (probability - mean)
    return Dynamics(count, mean, squares, dynamics.right + np.asarray(correct, dtype=np.float64))
