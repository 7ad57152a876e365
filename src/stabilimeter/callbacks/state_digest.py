"""What every training step is made of, as digests: two runs that differ in a single bit differ here."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning_utilities.core.apply_func import apply_to_collection
from torch import Tensor
from torch.optim import Optimizer

from stabilimeter.records.digests import BEFORE, BatchDigests, Kind, digests_path

_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_ODD, _MIX = 0x1E3779B97F4A7C15, 0x3F58476D1CE4E5B9


def digest(tensor: Tensor) -> Tensor:
    """A 64-bit digest of the bits of a tensor, as a 0-d int64 tensor on its device.

    Each element's bits and place are mixed (the finaliser of SplitMix64, Steele et al. 2014) and added up modulo 2^64,
    which is the same in whatever order it is done. Zeros of either sign, and NaNs of different bits, are different.

    >>> a = torch.tensor([1.0, 2.0])
    >>> bool(digest(a) == digest(a.clone())), bool(digest(a) == digest(a.flip(0)))
    (True, False)
    """
    values = tensor.detach()
    if values.is_complex():
        values = torch.view_as_real(values.resolve_conj())
    bits = values.contiguous().reshape(-1).view(_INTEGERS[values.element_size()]).to(torch.int64)
    mixed = (bits ^ (bits << 32)) + torch.arange(1, bits.numel() + 1, device=bits.device) * _ODD
    mixed = (mixed ^ (mixed >> 30)) * _MIX
    return (mixed ^ (mixed >> 27)).sum() + bits.numel()


class StateDigest(Callback):
    """Writes digests of weights, data, loss, gradients and random states at every batch.

    For ``recipes/determinism.py``. It reads every tensor and waits for the device at each batch, so it is slow, and not
    for production. Gradients are those before clipping, weights and buffers those after the step. Random states (of
    PyTorch, NumPy, Python, as they are when the batch arrives) are only looked at.

    Args:
        dirpath: Folder of the run; the digests go to its ``stability/digests.jsonl``.
    """

    def __init__(self, dirpath: str | Path) -> None:
        super().__init__()
        self._path = digests_path(Path(dirpath))
        self._file: TextIO | None = None
        self._batch = 0
        self._found: dict[str, Tensor] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The state before the first batch."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("w", encoding="utf-8")
        self._batch, self._found = 0, {}
        self._found.update(_state(pl_module))
        self._found.update(_random_states(pl_module.device))
        self._write(BEFORE)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Random states and data."""
        self._found.update(_random_states(pl_module.device))
        tensors: list[Tensor] = []
        apply_to_collection(batch, Tensor, tensors.append)
        self._found.update({f"{Kind.BATCH.value} {place}": digest(tensor) for place, tensor in enumerate(tensors)})

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """The loss."""
        self._found[Kind.LOSS.value] = digest(loss)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Gradients, from the last layer to the first, as the backward pass makes them."""
        for name, parameter in reversed(list(pl_module.named_parameters())):
            if parameter.grad is not None:
                self._found[f"{Kind.GRADIENT.value} {name}"] = digest(parameter.grad)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Weights and buffers."""
        self._found.update(_state(pl_module))
        self._write(self._batch)
        self._batch += 1

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Closes the file."""
        self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Closes the file."""
        self._close()

    def _write(self, batch: int) -> None:
        if self._file is not None and self._found:
            numbers = torch.stack([value.cpu() for value in self._found.values()]).tolist()
            digests = {name: f"{number % 2**64:016x}" for name, number in zip(self._found, numbers, strict=True)}
            self._file.write(BatchDigests(batch, digests).to_line())
        self._found = {}

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _state(module: LightningModule) -> Iterator[tuple[str, Tensor]]:
    for name, parameter in module.named_parameters():
        yield f"{Kind.WEIGHT.value} {name}", digest(parameter)
    for name, buffer in module.named_buffers():
        yield f"{Kind.BUFFER.value} {name}", digest(buffer)


def _random_states(device: torch.device) -> Iterator[tuple[str, Tensor]]:
    yield f"{Kind.RANDOM_STATE.value} torch", digest(torch.get_rng_state())
    if device.type == "cuda":
        yield f"{Kind.RANDOM_STATE.value} cuda", digest(torch.cuda.get_rng_state(device))
    _, keys, position, *_ = np.random.get_state()  # noqa: NPY002 (the user's code may use it)
    yield f"{Kind.RANDOM_STATE.value} numpy", digest(torch.from_numpy(np.append(keys, position).astype(np.int64)))
    _, words, _ = random.getstate()
    yield f"{Kind.RANDOM_STATE.value} python", digest(torch.tensor(words))
