"""Outcomes of an evaluation, example by example, on the host."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stabilimeter.stats.paired import PairedTest, paired_correctness, paired_difference

CORRECT = "correct"
LOSS = "loss"
SCORE = "score"
PREDICTION = "prediction"
DIRECTIONS = {CORRECT: "max", SCORE: "max", LOSS: "min"}
"""What a checkpoint can be judged by, and which direction is better."""

LOADER_BITS = 48
"""A key is the number of the dataloader in the bits above these, and the index of the example in these."""


@dataclass(frozen=True, eq=False)
class Outcomes:
    """One evaluation, example by example.

    Attributes:
        keys: Which example, ``(n,)`` int64, strictly increasing, n >= 1; `loaders` tells the dataloader.
        values: What was returned under "correct" (bool), "loss", "score" (float32) and "prediction" (int64), ``(n,)``.
        slice_names: Names of the slices.
        slice_codes: Slice of each example, ``(n,)`` int32, an index into ``slice_names``; None without slices.
    """

    keys: NDArray[np.int64]
    values: Mapping[str, NDArray[Any]]
    slice_names: tuple[str, ...] = ()
    slice_codes: NDArray[np.int32] | None = None

    @property
    def loaders(self) -> NDArray[np.int64]:
        """Number of the dataloader of each example, ``(n,)``."""
        return self.keys >> LOADER_BITS

    def chosen(self, which: NDArray[Any]) -> "Outcomes":
        """Some of the examples, by a mask or by their places."""
        codes = None if self.slice_codes is None else self.slice_codes[which]
        values = {name: values[which] for name, values in self.values.items()}
        return Outcomes(self.keys[which], values, self.slice_names, codes)

    def slices(self) -> list[tuple[str, NDArray[np.bool_]]]:
        """Name and mask of every slice: those that the user names, and the dataloaders where there are several."""
        found: list[tuple[str, NDArray[np.bool_]]] = []
        if self.slice_codes is not None:
            found += [(name, self.slice_codes == code) for code, name in enumerate(self.slice_names)]
        loaders = np.unique(self.loaders)
        if loaders.size > 1:
            found += [(f"dataloader {loader}", self.loaders == loader) for loader in loaders]
        return found

    def state_dict(self) -> dict[str, Any]:
        """As tensors and plain Python."""
        return {
            "keys": torch.from_numpy(self.keys),
            "values": {name: torch.from_numpy(values) for name, values in self.values.items()},
            "slice_names": list(self.slice_names),
            "slice_codes": None if self.slice_codes is None else torch.from_numpy(self.slice_codes),
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> "Outcomes":
        """From what `state_dict` gave."""
        codes = state["slice_codes"]
        return cls(
            state["keys"].cpu().numpy(),
            {name: values.cpu().numpy() for name, values in state["values"].items()},
            tuple(state["slice_names"]),
            None if codes is None else codes.cpu().numpy(),
        )


def shared(old: Outcomes | None, new: Outcomes | None) -> tuple[Outcomes, Outcomes] | None:
    """Both, on the examples that they share; None if there are none."""
    if old is None or new is None:
        return None
    if np.array_equal(old.keys, new.keys):
        return old, new
    common, in_old, in_new = np.intersect1d(old.keys, new.keys, assume_unique=True, return_indices=True)
    return (old.chosen(in_old), new.chosen(in_new)) if common.size else None


def paired_test(old: Outcomes | None, new: Outcomes | None, tested: str) -> PairedTest | None:
    """Test of equal outcomes on shared examples; None without such, or where an outcome is missing or not finite."""
    pair = shared(old, new)
    if pair is None or any(tested not in side.values for side in pair):
        return None
    before, after = (side.values[tested] for side in pair)
    if tested == CORRECT:
        return paired_correctness(before, after)
    differences = after.astype(np.float64) - before
    return paired_difference(differences) if np.all(np.isfinite(differences)) else None
