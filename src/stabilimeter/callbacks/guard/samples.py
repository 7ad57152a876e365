"""Which batches went into which step, and which of them are drawn again after a rollback."""

import os
from collections import deque
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

from stabilimeter.callbacks.skip_list import SkippingSampler, extend_skip_list

Position = tuple[int, int]
"""Number of the epoch (from 1; 0 before the first one), and of batches drawn in it."""

_MOST_STEPS = 10_000


class DrawnSamples:
    """Counts batches, so that the sampler can tell what was in them.

    Args:
        loader: Training loader with a `SkippingSampler`; None if nobody asks for samples.
    """

    def __init__(self, loader: "DataLoader[Any] | None") -> None:
        sampler = None if loader is None else loader.sampler
        self._sampler = sampler if isinstance(sampler, SkippingSampler) else None
        self._batch_size = 0 if loader is None else loader.batch_size or 0
        self._epoch = 0
        self._num_batches = 0
        self._of_step: list[int] = []
        self._first_of_steps: deque[tuple[int, int]] = deque(maxlen=_MOST_STEPS)
        self._left_out: set[int] = set()

    def begin_epoch(self) -> None:
        """The sampler starts from its beginning."""
        self._epoch += 1
        self._num_batches = 0
        self._first_of_steps.clear()
        self._left_out = set()

    def begin_step(self, step: int) -> None:
        """Batches from now on belong to the optimizer step of this number."""
        self._of_step = []
        self._first_of_steps.append((step, self._num_batches))

    def count_batch(self) -> None:
        """One more batch has come out of the loader."""
        self._of_step.append(self._num_batches)
        self._num_batches += 1

    @property
    def can_go_back(self) -> bool:
        """Whether `go_back` will do anything."""
        return self._sampler is not None

    @property
    def position(self) -> Position:
        """Where the data are."""
        return self._epoch, self._num_batches

    def leave_out(self, skip_list: str | os.PathLike[str] | None, trainer: Trainer) -> Mapping[str, Any]:
        """This step is not taken: put its samples, those of all ranks, on the skip list; call it on every rank.

        Returns:
            Evidence for the record; empty if there is no skip list.
        """
        self._left_out.update(self._of_step)
        if skip_list is None or self._sampler is None:
            return {}
        own = [i for number in self._of_step for i in self._sampler.batch(number, self._batch_size)]
        samples = set(own)
        if trainer.world_size > 1:
            everyone: list[list[int]] = [[] for _ in range(trainer.world_size)]
            torch.distributed.all_gather_object(everyone, own)
            samples = {i for rank in everyone for i in rank}
        if trainer.is_global_zero:
            extend_skip_list(skip_list, samples)
        return {"samples": sorted(samples)}

    def between(self, position: Position, step: int) -> list[int]:
        """Numbers of the batches of this epoch drawn after ``position`` and before those of ``step``.

        Those of steps not taken are left out. Nobody remembers where a step began that lies 10,000 steps back: none.
        """
        epoch, first = position
        first = first if epoch == self._epoch else 0
        end = max((number for at, number in self._first_of_steps if at <= step), default=0)
        return [number for number in range(first, end) if number not in self._left_out]

    def go_back(self, position: Position, step: int) -> None:
        """Have the batches `between` drawn again, if there is a sampler that can."""
        if self._sampler is not None:
            self._sampler.draw_again(self.between(position, step), self._batch_size)
