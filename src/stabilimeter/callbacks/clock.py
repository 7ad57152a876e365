"""The one place that knows which optimizer step it is, and how long it took.

Lightning's ``global_step`` is ``s`` while step ``s`` (counted from 0) is being taken, and already ``s + 1`` in
``on_train_batch_end`` and in validation. With accumulation several batches share a step. With several optimizers every
optimizer's step counts.
"""

import time

from lightning.pytorch import Trainer


def step_in_progress(trainer: Trainer) -> int:
    """Number of optimizer steps done before the one being taken; call it before or during ``optimizer.step`` only."""
    return trainer.global_step


def last_step_done(trainer: Trainer) -> int:
    """Number of the last optimizer step done (0 before any); call it outside of a step only."""
    return max(trainer.global_step - 1, 0)


class Stopwatch:
    """Wall time from the end of one step to the end of the next: data loading is part of a step, validation is not."""

    def __init__(self) -> None:
        self._since: float | None = None

    def lap(self) -> float | None:
        """Seconds since the last lap or `restart`; None the first time."""
        now = time.perf_counter()
        elapsed = None if self._since is None else now - self._since
        self._since = now
        return elapsed

    def restart(self) -> None:
        """Time spent until now belongs to no step."""
        self._since = time.perf_counter()
