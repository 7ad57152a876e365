"""What was going on at a step: attached to the incidents that begin there."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stabilimeter.callbacks.capture.block import Block

_TOP = 3


class StepEvidence:
    """Learning rate, epoch, batch, and the parameters with the largest gradients, for the rows of one track.

    Args:
        lr_key: Column that holds the learning rate.
        layers_key: Vector that holds the gradient norms per parameter.
        layer_names: Names of its elements.
    """

    def __init__(self, lr_key: str, layers_key: str, layer_names: Sequence[str]) -> None:
        self._lr_key = lr_key
        self._layers_key = layers_key
        self._names = layer_names

    def at(self, block: Block, row: int) -> Mapping[str, Any]:
        """Plain JSON values about one row of ``block``."""
        step = int(block.steps[row])
        found: dict[str, Any] = {"epoch": block.epochs[row], "batch_idx": block.batches[row]}
        if self._lr_key in block.keys:
            found["learning_rate"] = float(block.values[row, block.keys.index(self._lr_key)])
        layers = block.vectors.get(self._layers_key)
        at = 0 if layers is None else int(np.searchsorted(layers.steps, step, side="right"))
        if layers is not None and at:
            norms = layers.values[at - 1]
            found["top_layers"] = {self._names[i]: float(norms[i]) for i in _largest(norms)}
            found["top_layers_step"] = int(layers.steps[at - 1])
        return found


def _largest(norms: NDArray[np.float64]) -> list[int]:
    """Indices of the largest values, non-finite ones first."""
    ranked = np.argsort(np.where(np.isfinite(norms), -norms, -np.inf), kind="stable")
    return [int(i) for i in ranked[:_TOP]]
