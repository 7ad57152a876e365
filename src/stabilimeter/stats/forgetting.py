"""Which examples a model has learned, forgotten, or never got right, over the evaluations of a run.

Toneva et al. 2019, "An empirical study of example forgetting", section 3: an example is *learned* when it goes from
wrong to right, and undergoes a *forgetting event* when it goes from right to wrong. There the outcome of an example is
looked at whenever it is in a training batch; here, at each evaluation.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class History(NamedTuple):
    """What is known of each of n examples; one evaluation after the other is added by `seen`.

    Attributes:
        correct: Outcome of the last evaluation, ``(n,)`` bool.
        learned: Whether an example has been right at any evaluation, ``(n,)`` bool.
        events: Forgetting events, ``(n,)`` int32.
    """

    correct: NDArray[np.bool_]
    learned: NDArray[np.bool_]
    events: NDArray[np.int32]

    @property
    def never_learned(self) -> int:
        """Examples that no evaluation so far got right; in the paper they count as forgotten infinitely often."""
        return int(np.sum(~self.learned))

    @property
    def forgotten(self) -> int:
        """Examples that an earlier evaluation got right and the last one does not."""
        return int(np.sum(self.learned & ~self.correct))

    @property
    def unforgettable(self) -> int:
        """Examples that were learned and never forgotten since."""
        return int(np.sum(self.learned & (self.events == 0)))


def begun(correct: NDArray[np.bool_]) -> History:
    """The history after the first evaluation.

    Args:
        correct: Its outcomes, shape ``(n,)``.
    """
    correct = np.asarray(correct, dtype=bool)
    return History(correct, correct.copy(), np.zeros(correct.shape, dtype=np.int32))


def seen(history: History, correct: NDArray[np.bool_]) -> History:
    """The history after one more evaluation of the same examples in the same order.

    >>> history = begun(np.array([True, False, True, False]))
    >>> for outcome in ([False, False, True, True], [True, False, True, False], [False, False, True, False]):
    ...     history = seen(history, np.array(outcome))
    >>> history.events.tolist(), history.never_learned, history.forgotten, history.unforgettable
    ([2, 0, 0, 1], 1, 2, 1)
    """
    correct = np.asarray(correct, dtype=bool)
    if correct.shape != history.correct.shape:
        raise ValueError(f"the history is of {history.correct.size} examples, got outcomes of shape {correct.shape}")
    events = history.events + (history.correct & ~correct)
    return History(correct, history.learned | correct, events.astype(np.int32))


def forgetting(outcomes: NDArray[np.bool_]) -> History:
    """The history of all evaluations at once: the fold of `seen`.

    Args:
        outcomes: ``(num_evaluations, n)``, at least one evaluation.
    """
    outcomes = np.asarray(outcomes, dtype=bool)
    if outcomes.ndim != 2 or len(outcomes) == 0:
        raise ValueError(f"forgetting needs outcomes of shape (num_evaluations, n), got {outcomes.shape}")
    history = begun(outcomes[0])
    for correct in outcomes[1:]:
        history = seen(history, correct)
    return history
