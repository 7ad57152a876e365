"""Derived signals, computed block by block as if the run were one long block."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stabilimeter.callbacks.capture.signal import DerivedSignal
from stabilimeter.callbacks.capture.trailing_windows import trailing_windows


class DerivedColumns:
    """Keeps as many past values of each source as the longest window needs.

    Args:
        signals: The signals to derive; their sources must be columns of every block.
    """

    def __init__(self, signals: Sequence[DerivedSignal]) -> None:
        self._signals = signals
        self._past: dict[str, NDArray[np.float64]] = {
            source: np.empty(0) for signal in signals for source in signal.sources
        }
        self._memory = max((signal.window - 1 for signal in signals), default=0)

    def extend(self, columns: Mapping[str, NDArray[np.float64]]) -> list[NDArray[np.float64]]:
        """The derived values of one more block, one array per signal.

        Args:
            columns: Per source its values in the block, shape (num_steps,), NaN where not measured.
        """
        series = {key: np.concatenate([past, columns[key]]) for key, past in self._past.items()}
        needed = {(source, signal.window) for signal in self._signals for source in signal.sources}
        windows = {
            (source, width): trailing_windows(series[source], len(columns[source]), width) for source, width in needed
        }
        derived = [s.derive(*(windows[source, s.window] for source in s.sources)) for s in self._signals]
        self._past = {key: values[max(len(values) - self._memory, 0) :] for key, values in series.items()}
        return derived

    def state_dict(self) -> dict[str, Any]:
        """The past values, as tensors."""
        return {key: torch.from_numpy(past.copy()) for key, past in self._past.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        for key in self._past.keys() & state.keys():
            self._past[key] = state[key].numpy().astype(np.float64)
