"""Per-example outcomes of a run on disk: the last evaluation, and the training dynamics over all of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray

from stabilimeter.callbacks.checkpoints.outcomes import CORRECT, LOSS, PREDICTION, Outcomes
from stabilimeter.records.example_log import EXAMPLES_FILE, ExampleLog, write_examples
from stabilimeter.stats.training_dynamics import Dynamics, begun, evaluated


class ExampleKeeper:
    """Writes ``examples.npz`` after each evaluation, so that seeds can be compared example by example.

    The probability of the true class is ``exp(-loss)``, as of a cross entropy; without a loss per example it is 1 for
    right and 0 for wrong. A loss that is not finite stands for no probability at all.

    Args:
        record: Folder of the record, on rank 0; None to keep nothing.
    """

    def __init__(self, record: Path | None) -> None:
        self._record = record
        self._keys: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._dynamics: Dynamics = begun(0)
        self._has_warned = False

    def forget(self) -> None:
        """The run starts anew: what an earlier one left counts no more."""
        if self._record is not None:
            (self._record / EXAMPLES_FILE).unlink(missing_ok=True)

    def enter(self, step: int, outcomes: Outcomes | None) -> None:
        """Keep one evaluation; other examples than before begin anew."""
        if outcomes is None or not outcomes.keys.size:
            return
        if not np.array_equal(outcomes.keys, self._keys):
            self._keys, self._dynamics = outcomes.keys, begun(outcomes.keys.size)
        correct, loss = outcomes.values.get(CORRECT), outcomes.values.get(LOSS)
        probability = correct if loss is None else _probability(loss)
        log = ExampleLog(step, 0, self._keys, correct=correct, prediction=outcomes.values.get(PREDICTION))
        if probability is not None:
            right = np.zeros(self._keys.size, dtype=bool) if correct is None else correct
            self._dynamics = evaluated(self._dynamics, probability, right)
            log = ExampleLog(
                step,
                self._dynamics.evaluations,
                self._keys,
                correct=correct,
                prediction=log.prediction,
                confidence=self._dynamics.confidence.astype(np.float32),
                variability=self._dynamics.variability.astype(np.float32),
                correctness=None if correct is None else self._dynamics.correctness.astype(np.float32),
            )
        if self._record is not None:
            self._write(self._record, log)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain Python."""
        columns = {name: torch.from_numpy(getattr(self._dynamics, name)) for name in ("mean", "squares", "right")}
        return {"keys": torch.from_numpy(self._keys), "evaluations": self._dynamics.evaluations, **columns}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        columns = [state[name].cpu().numpy() for name in ("mean", "squares", "right")]
        self._keys, self._dynamics = state["keys"].cpu().numpy(), Dynamics(state["evaluations"], *columns)

    def _write(self, record: Path, log: ExampleLog) -> None:
        try:
            write_examples(record, log)
        except OSError as error:
            if not self._has_warned:
                self._has_warned = True
                rank_zero_warn(
                    f"CheckpointRegression: outcomes per example are not kept: {error}", category=UserWarning
                )


def _probability(loss: NDArray[np.float32]) -> NDArray[np.float64]:
    losses = np.where(np.isfinite(loss), loss, np.inf).astype(np.float64)
    return np.exp(-np.maximum(losses, 0.0))
