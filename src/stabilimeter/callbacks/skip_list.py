"""Samples that are not drawn again: a list on disk, and a sampler that honours it."""

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from torch.utils.data import Sampler

from stabilimeter.records import strict_json
from stabilimeter.records.record_error import RecordError

_SCHEMA = 1


def read_skip_list(path: str | os.PathLike[str]) -> frozenset[int]:
    """The indices in the skip list at ``path``; none if there is no such file.

    Raises:
        RecordError: If the file is not a skip list.
    """
    path = Path(path)
    if not path.exists():
        return frozenset()
    try:
        plain = strict_json.loads(path.read_bytes())
        indices = plain["samples"] if plain["schema"] == _SCHEMA else None
    except (ValueError, TypeError, KeyError) as error:
        raise RecordError(f"{path} is not a skip list: {error}") from error
    if not isinstance(indices, list) or not all(type(index) is int for index in indices):
        raise RecordError(f'{path} is not a skip list: {{"schema": {_SCHEMA}, "samples": [indices]}} is expected')
    return frozenset(indices)


def extend_skip_list(path: str | os.PathLike[str], indices: Iterable[int]) -> None:
    """Add samples to the skip list at ``path``; a reader sees the old list or the new one, never half of it."""
    path = Path(path)
    samples = sorted(read_skip_list(path).union(indices))
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(strict_json.dumps({"schema": _SCHEMA, "samples": samples}) + "\n", encoding="utf-8")
    draft.replace(path)


class SkippingSampler(Sampler[int]):
    """Another sampler, without the samples on a skip list, that can draw some of them again.

    Each listed sample gives its place to one that is kept: the first kept one of the epoch, then the second, and so
    on, as a ``DistributedSampler`` pads. So every other batch is what it would have been, an epoch keeps its length,
    schedules and resuming stay right, and under DDP all ranks draw equally many. The list is read whenever an epoch
    begins, also after a resume.

    With a sampler of this class a rollback of `SpikeGuard` takes the data back as well.

    Under DDP wrap the distributed sampler, and keep Lightning from wrapping once more:
    ``Trainer(use_distributed_sampler=False)``.

    Args:
        sampler: Any finite sampler of indices.
        skip_list: Path of the list, the same as in ``SpikeGuard(skip_list=...)``; the file need not exist. None to
            skip nothing.
    """

    def __init__(self, sampler: Sampler[int] | Sequence[int], skip_list: str | os.PathLike[str] | None = None) -> None:
        self.skip_list = None if skip_list is None else Path(skip_list)
        self._sampler: Any = sampler
        self._order: list[int] = []
        self._num_drawn = 0

    def __len__(self) -> int:
        return len(self._sampler)

    def __iter__(self) -> Iterator[int]:
        drawn = [int(index) for index in self._sampler]
        skipped = frozenset() if self.skip_list is None else read_skip_list(self.skip_list)
        kept = [index for index in drawn if index not in skipped]
        if drawn and not kept:
            raise RecordError(f"every sample of this epoch is on the skip list {self.skip_list}; nothing is left")
        instead = cycle(kept)
        self._order = [next(instead) if index in skipped else index for index in drawn]
        self._num_drawn = 0
        while self._num_drawn < len(self._order):
            self._num_drawn += 1
            yield self._order[self._num_drawn - 1]

    def set_epoch(self, epoch: int) -> None:
        """Pass the epoch on to a distributed sampler."""
        set_epoch = getattr(self._sampler, "set_epoch", None)
        if set_epoch is not None:
            set_epoch(epoch)

    def batch(self, number: int, batch_size: int) -> list[int]:
        """Indices of the samples in the ``number``-th batch (from 0) of the epoch under way."""
        return self._order[number * batch_size : (number + 1) * batch_size]

    def draw_again(self, numbers: Sequence[int], batch_size: int) -> None:
        """Draw these batches of the epoch under way once more, before those that have not been drawn.

        Batches that a worker has fetched already come first. The epoch keeps its length, so that as many samples from
        its end are not drawn.
        """
        again = [index for number in numbers for index in self.batch(number, batch_size)]
        ahead = self._order[self._num_drawn :]
        self._order[self._num_drawn :] = (again + ahead)[: len(ahead)]
