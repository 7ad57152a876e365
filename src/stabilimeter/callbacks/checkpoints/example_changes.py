"""What changes example by example from one evaluation to the next, and what was ever learned."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stabilimeter.callbacks.checkpoints.outcomes import CORRECT, PREDICTION, Outcomes, shared
from stabilimeter.records.checkpoint_log import ExampleChanges
from stabilimeter.stats.example_agreement import pairwise_churn
from stabilimeter.stats.flips import Flips, flips
from stabilimeter.stats.forgetting import History, begun, seen


class ExampleHistory:
    """What is known of each example.

    Attributes:
        was_interrupted: Whether an evaluation had other examples than the one before, so that it was begun anew.
    """

    def __init__(self) -> None:
        self._history: History | None = None
        self._keys: NDArray[np.int64] | None = None
        self.was_interrupted = False

    def changes(self, outcomes: Outcomes, best: Outcomes | None, previous: Outcomes | None) -> ExampleChanges:
        """What one more evaluation changes.

        Args:
            outcomes: Of it.
            best: Of the best before; negative and positive flips are against these.
            previous: Of the one just before; churn is against these.
        """
        changes = ExampleChanges(outcomes.keys.size)
        pair = shared(previous, outcomes)
        if pair is not None and all(PREDICTION in side.values for side in pair):
            predictions = np.stack([side.values[PREDICTION] for side in pair])
            changes = replace(changes, churn=float(pairwise_churn(predictions)[0, 1]))
        if CORRECT not in outcomes.values:
            return changes
        history = self._followed(outcomes)
        flipped = flips_between(best, outcomes)
        return replace(
            changes,
            negative=None if flipped is None else flipped.negative,
            positive=None if flipped is None else flipped.positive,
            forgotten=history.forgotten,
            forgetting_events=int(history.events.sum()),
            never_learned=history.never_learned,
        )

    def _followed(self, outcomes: Outcomes) -> History:
        correct = outcomes.values[CORRECT]
        is_known = self._keys is not None and np.array_equal(self._keys, outcomes.keys)
        self.was_interrupted |= self._keys is not None and not is_known
        self._history = seen(self._history, correct) if self._history is not None and is_known else begun(correct)
        self._keys = outcomes.keys
        return self._history

    def state_dict(self) -> dict[str, Any]:
        """Tensors."""
        if self._history is None or self._keys is None:
            return {}
        return {"keys": torch.from_numpy(self._keys), "history": [torch.from_numpy(array) for array in self._history]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        self._history = self._keys = None
        if state:
            self._keys = state["keys"].cpu().numpy()
            self._history = History(*(tensor.cpu().numpy() for tensor in state["history"]))


def flips_between(old: Outcomes | None, new: Outcomes) -> Flips | None:
    """Flips on shared examples; None where correctness of either is unknown."""
    pair = shared(old, new)
    if pair is None or any(CORRECT not in side.values for side in pair):
        return None
    return flips(pair[0].values[CORRECT], pair[1].values[CORRECT])
