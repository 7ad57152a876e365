"""Takes the outcomes of an evaluation from what `validation_step` returns, and copies them to the host once."""

from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stabilimeter.callbacks.checkpoints.outcomes import CORRECT, LOADER_BITS, LOSS, PREDICTION, SCORE, Outcomes

INDEX = "index"
SLICE = "slice"
MAX_SLICES = 100


class OutcomeCollector:
    """Keeps the outcomes of one evaluation where they are, on the device, until it is over.

    Args:
        names: Keys to keep beside "index".
    """

    def __init__(self, names: Sequence[str] = (CORRECT, LOSS, SCORE, PREDICTION, SLICE)) -> None:
        self._names = names
        self._batches: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return len(self._batches)

    def add(self, outputs: Any, loader: int) -> None:
        """Keep what `validation_step` has returned; nothing is read from the device.

        Without "index" it is not about examples and is passed over, and so is a "loss" of the whole batch.

        Raises:
            ValueError: if there is an "index", but what is beside it is not one value per example.
        """
        if not isinstance(outputs, Mapping) or INDEX not in outputs:
            return
        index = torch.as_tensor(outputs[INDEX]).detach()
        if index.ndim != 1 or index.is_floating_point():
            raise ValueError(
                f"validation_step returned 'index' of shape {tuple(index.shape)} and type {index.dtype}; "
                "it has to be one whole number per example, its position in the dataset"
            )
        batch: dict[str, Any] = {INDEX: index.to(torch.int64), "loader": loader}
        for name in self._names:
            value = outputs.get(name)
            if value is None or (name == LOSS and isinstance(value, Tensor) and value.ndim == 0):
                continue
            shape = tuple(value.shape) if isinstance(value, Tensor | np.ndarray) else (len(value),)
            if shape != tuple(index.shape):
                raise ValueError(
                    f"validation_step returned {name!r} of shape {shape} beside 'index' of shape {tuple(index.shape)}; "
                    "each has to have one value per example"
                )
            batch[name] = _kept(name, value)
        if self._batches and batch.keys() != self._batches[0].keys():
            raise ValueError(
                f"validation_step returned {sorted(batch)} for one batch and {sorted(self._batches[0])} for another; "
                "return the same keys for every batch of every dataloader"
            )
        self._batches.append(batch)

    def take(self, world_size: int) -> Outcomes | None:
        """The outcomes of all ranks, on rank 0; None on the others, and where there is nothing but an "index".

        Has to be called on all ranks. An example that several ranks have seen, as where a distributed sampler fills up
        the last batch, counts once.

        Raises:
            ValueError: if this rank has seen an example twice, or slices are too many to be judged.
        """
        mine = self._on_host()
        everyone: list[dict[str, NDArray[Any]] | None] | None = [mine]
        if world_size > 1:
            is_first = torch.distributed.get_rank() == 0
            everyone = [None] * world_size if is_first else None
            torch.distributed.gather_object(mine, everyone, dst=0)
        parts = [part for part in everyone or [] if part is not None and len(part) > 1]
        return _combined(parts) if parts else None

    def _on_host(self) -> dict[str, NDArray[Any]] | None:
        batches, self._batches = self._batches, []
        if not batches:
            return None
        columns: dict[str, NDArray[Any]] = {}
        for name in batches[0]:
            if name == "loader":
                continue
            parts = [batch[name] for batch in batches]
            if isinstance(parts[0], Tensor):
                columns[name] = torch.cat(parts).cpu().numpy()  # the one copy
            else:
                columns[name] = np.concatenate(parts)
        index = columns.pop(INDEX)
        if index.size and (index.min() < 0 or index.max() >= 1 << LOADER_BITS):
            raise ValueError(f"'index' has to lie in [0, 2**{LOADER_BITS}), got {index.min()} to {index.max()}")
        loaders = np.repeat([batch["loader"] for batch in batches], [len(batch[INDEX]) for batch in batches])
        keys = (loaders.astype(np.int64) << LOADER_BITS) | index
        if np.unique(keys).size != keys.size:
            raise ValueError(
                f"validation_step returned {keys.size - np.unique(keys).size} examples whose 'index' another example "
                "of the same dataloader has already; it has to be the position in the dataset, not in the batch"
            )
        return {"keys": keys, **columns}


def _kept(name: str, value: Any) -> Any:
    """``value`` in the type in which it is kept; a copy, because a view would keep all logits of its batch alive."""
    if name == SLICE and not isinstance(value, Tensor):
        return np.asarray(value)
    if name == PREDICTION and len(value) and isinstance(value[0], str):
        return np.array([crc32(text.encode()) for text in value], dtype=np.int64)  # only ever compared
    tensor = torch.as_tensor(value).detach()
    if name == PREDICTION and tensor.is_floating_point():
        raise ValueError(f"validation_step returned 'prediction' of type {tensor.dtype}; classes or texts are needed")
    types = {CORRECT: torch.bool, LOSS: torch.float32, SCORE: torch.float32, PREDICTION: torch.int64}
    return tensor.to(types.get(name, tensor.dtype), copy=True)


def _combined(parts: Sequence[Mapping[str, NDArray[Any]]]) -> Outcomes:
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    keys, first = np.unique(columns.pop("keys"), return_index=True)
    columns = {name: values[first] for name, values in columns.items()}
    slices = columns.pop(SLICE, None)
    if slices is None:
        return Outcomes(keys, columns)
    names, codes = np.unique(slices, return_inverse=True)
    if len(names) > MAX_SLICES:
        raise ValueError(
            f"validation_step returned {len(names)} different values under 'slice'; a slice is a group of examples, "
            f"and at most {MAX_SLICES} are judged"
        )
    return Outcomes(keys, columns, tuple(str(name) for name in names), codes.astype(np.int32))
