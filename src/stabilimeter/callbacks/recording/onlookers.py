"""Signals that may go wrong before the loss does."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stabilimeter.callbacks.capture.block import Block
from stabilimeter.callbacks.recording.watch import Watch
from stabilimeter.records import keys
from stabilimeter.stats.incident import Incident

_LOOKED_AT = {
    keys.UPDATE_NORM: True,
    keys.OPTIM_RMS_MAX: True,
    keys.ACTIVATION_RMS_MAX: True,
    keys.ACTIVATION_KURTOSIS_MAX: True,
    keys.ACTIVATION_DEAD_MAX: False,
    keys.ATTENTION_LOGIT_MAX: False,
}
"""Whether the logarithm is judged."""


class Onlookers:
    """Judges what a run records besides loss and gradient norm by the same rule, and never tells by itself.

    None of these signals leads reliably, and they raise false alarms (docs/detection.md); but where the loss or the
    gradient norm does go wrong, it is good to know which of them had done so just before. The size of the update is
    judged relative to the learning rate, so that a schedule is no news.

    Args:
        suffixes: What each optimizer adds to the names of its series.
    """

    def __init__(self, suffixes: Iterable[str]) -> None:
        self._series = {
            key + suffix: (by_logarithm, keys.OPTIM_LR + suffix if key == keys.UPDATE_NORM else None)
            for suffix in suffixes
            for key, by_logarithm in _LOOKED_AT.items()
        }
        self._watch = Watch()

    def extend(self, block: Block) -> list[Incident]:
        """What is out of the ordinary in more steps of one optimizer: over, or going on."""
        found: list[Incident] = []
        for key in block.keys:
            if key not in self._series:
                continue
            by_logarithm, rate_key = self._series[key]
            steps, values = _relative(block, key, rate_key)
            if len(steps):
                found += self._watch.extend(key, steps.tolist(), values.tolist(), lambda _: {}, positive=by_logarithm)
            going_on = self._watch.going_on(key)
            found += [] if going_on is None else [going_on]
        return found

    def state_dict(self) -> dict[str, Any]:
        """What a resumed fit needs."""
        return self._watch.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        self._watch.load_state_dict(state)


def _relative(block: Block, key: str, rate_key: str | None) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The steps at which a series has a value, and its values, relative to a learning rate that is known and not 0."""
    column = block.keys.index(key)
    present, values = block.measured[:, column], block.values[:, column]
    if rate_key in block.keys:
        rates = block.values[:, block.keys.index(rate_key)]
        present = present & (rates > 0)
        values = values / np.where(rates > 0, rates, 1.0)
    return block.steps[present], values[present]
