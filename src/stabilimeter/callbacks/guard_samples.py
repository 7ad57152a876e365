"""Which samples went into the step under way."""

import os
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

from stabilimeter.callbacks.skip_list import SkippingSampler, extend_skip_list


class DrawnSamples:
    """Counts batches, so that the sampler can tell what was in them.

    Args:
        loader: Training loader with a `SkippingSampler`; None if nobody asks for samples.
    """

    def __init__(self, loader: "DataLoader[Any] | None") -> None:
        self._loader = loader
        self._num_batches = 0
        self._batches: list[int] = []

    def begin_epoch(self) -> None:
        """The sampler starts from its beginning."""
        self._num_batches = 0

    def begin_step(self) -> None:
        """Batches from now on belong to another optimizer step."""
        self._batches = []

    def count_batch(self) -> None:
        """One more batch has come out of the loader."""
        self._batches.append(self._num_batches)
        self._num_batches += 1

    def put_on(self, skip_list: str | os.PathLike[str] | None, trainer: Trainer) -> Mapping[str, Any]:
        """Add the samples of this step, those of all ranks, to the skip list; call it on every rank.

        Returns:
            Evidence for the record; empty if there is no skip list.
        """
        if skip_list is None or self._loader is None or self._loader.batch_size is None:
            return {}
        sampler = self._loader.sampler
        if not isinstance(sampler, SkippingSampler):
            return {}
        own = [i for number in self._batches for i in sampler.batch(number, self._loader.batch_size)]
        samples = set(own)
        if trainer.world_size > 1:
            everyone: list[list[int]] = [[] for _ in range(trainer.world_size)]
            torch.distributed.all_gather_object(everyone, own)
            samples = {i for rank in everyone for i in rank}
        if trainer.is_global_zero:
            extend_skip_list(skip_list, samples)
        return {"samples": sorted(samples)}
