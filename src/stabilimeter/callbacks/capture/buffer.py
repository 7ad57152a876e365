"""Measurements since the last flush, left on the device until one copy brings them all to the host."""

import math
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stabilimeter.callbacks.capture.gradients import TensorNorms, in_order, totals
from stabilimeter.callbacks.capture.sharding import combined_over_ranks
from stabilimeter.callbacks.capture.signal import Measured, Reduction

_ON_DEVICE = (Tensor, TensorNorms)


class Measurements(NamedTuple):
    """What one flush brought to the host.

    Attributes:
        values: Shape (num_rows, num_columns).
        measured: Which of them exist, same shape; NaN is a value, a missing measurement is not.
        vectors: The vectors, in the order they were added.
    """

    values: NDArray[np.float64]
    measured: NDArray[np.bool_]
    vectors: list[NDArray[np.float64]]


class Buffer:
    """Rows of 0-d tensors and plain numbers, and now and then a vector.

    Adding computes nothing: the tensors are kept as they are and stacked at the flush.

    Args:
        reductions: How ranks are combined, per column.
        device: Where the parameters are.
        world_size: Number of ranks.
        sharded: Whether ranks hold different parts of the parameters.
    """

    def __init__(
        self, reductions: Sequence[Reduction], *, device: torch.device, world_size: int = 1, sharded: bool = False
    ) -> None:
        self._shared = [kind is not Reduction.RANK_ZERO for kind in reductions]
        self._is_norm = [sharded and kind is Reduction.ROOT_SUM_SQUARE for kind in reductions]
        self._is_variance = [kind is Reduction.VARIANCE for kind in reductions]
        self._world_size = world_size
        self._sharded = sharded
        self._device = device
        self._dtype = torch.float32 if device.type == "mps" else torch.float64
        self._num_columns = len(reductions)
        self._rows: list[Sequence[Measured]] = []
        self._vectors: list[Tensor | TensorNorms] = []
        self._vector_is_norm: list[bool] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: Sequence[Measured]) -> None:
        """Add the measurements of one step; None where there is none."""
        self._rows.append(row)

    def add_vector(self, vector: Tensor | TensorNorms, reduction: Reduction) -> None:
        """Add one vector; on all ranks, if on any. Anything but a norm is averaged over ranks."""
        self._vectors.append(vector)
        self._vector_is_norm.append(self._sharded and reduction is Reduction.ROOT_SUM_SQUARE)

    def take(self, *, combine: bool) -> Measurements:
        """Empty the buffer: one copy from the device, however many rows and columns.

        Args:
            combine: Combine with the other ranks, by one collective. All ranks must then call this; False after an
                exception, when the others may be gone.
        """
        num_rows, vectors, vector_is_norm = len(self._rows), self._vectors, self._vector_is_norm
        columns = list(zip(*self._rows, strict=True)) or [()] * self._num_columns
        self._rows, self._vectors, self._vector_is_norm = [], [], []
        together = combine and self._world_size > 1
        values = np.empty((num_rows, len(columns)))
        sent: list[int] = []
        parts: list[Tensor] = []
        for i, column in enumerate(columns):
            kinds = set(map(type, column))
            if self._is_variance[i] and not together:  # one rank has no variance
                columns[i] = (None,) * num_rows
                values[:, i] = math.nan
            elif (together and self._shared[i]) or any(issubclass(kind, _ON_DEVICE) for kind in kinds):
                sent.append(i)
                parts.append(self._on_device(column, kinds))
            elif type(None) in kinds:
                values[:, i] = [math.nan if value is None else value for value in column]
            else:
                values[:, i] = column
        rows = [_rows(list(run)) for _, run in groupby(vectors, key=_kind_of)]
        lengths = [row.shape[1] for row in rows for _ in range(len(row))]
        parts += [row.flatten() for row in rows]
        host = np.empty(0)
        if parts:
            flat = torch.cat([part.to(self._device, self._dtype) for part in parts])
            if together:
                norms = [self._is_norm[i] for i in sent for _ in range(num_rows)]
                norms += [kind for length, kind in zip(lengths, vector_is_norm, strict=True) for _ in range(length)]
                squares = flat[: num_rows * len(sent)].view(len(sent), num_rows)[self._variances(sent)].square()
                flat = torch.cat([flat, squares.flatten()])
                norms += [False] * squares.numel()
                flat = combined_over_ranks(flat, torch.tensor(norms, device=flat.device), self._world_size)
            host = flat.cpu().numpy().astype(np.float64)
        values[:, sent] = host[: num_rows * len(sent)].reshape(len(sent), num_rows).T
        if together:
            spread = [sent[k] for k in self._variances(sent)]
            squares_at = len(host) - num_rows * len(spread)
            mean_squares = host[squares_at:].reshape(len(spread), num_rows).T
            unbiased = self._world_size / (self._world_size - 1)
            values[:, spread] = unbiased * np.maximum(mean_squares - values[:, spread] ** 2, 0.0)
        ends = num_rows * len(sent) + np.cumsum([0, *lengths])
        arrived = [host[start:end] for start, end in pairwise(ends)]
        measured = np.array([[value is not None for value in column] for column in columns], dtype=bool)
        return Measurements(values, measured.reshape(len(columns), num_rows).T, arrived)

    def _variances(self, sent: Sequence[int]) -> list[int]:
        """Which of the columns ``sent`` to the other ranks become a variance."""
        return [k for k, i in enumerate(sent) if self._is_variance[i]]

    def _on_device(self, column: Sequence[Measured], kinds: set[type]) -> Tensor:
        """The values of a column, shape (num_rows,), NaN where there is none."""
        if kinds == {TensorNorms}:
            return totals([value for value in column if isinstance(value, TensorNorms)])
        found = [value.total() if isinstance(value, TensorNorms) else value for value in column]
        of_kind = {(value.device, value.dtype) for value in found if isinstance(value, Tensor)}
        device, dtype = of_kind.pop() if len(of_kind) == 1 else (self._device, self._dtype)
        absent = torch.full((), math.nan, device=device, dtype=dtype)
        if of_kind:
            found = [value.to(absent) if isinstance(value, Tensor) else value for value in found]
        return torch.stack([value if isinstance(value, Tensor) else absent for value in found])


def _kind_of(vector: Tensor | TensorNorms) -> int:
    """Norms in the same order are put together."""
    return id(vector.order if isinstance(vector, TensorNorms) else vector)


def _rows(vectors: Sequence[Tensor | TensorNorms]) -> Tensor:
    """Vectors of one kind, shape (num_vectors, length); norms in the order of the layers."""
    values = torch.stack([vector.values if isinstance(vector, TensorNorms) else vector for vector in vectors])
    return in_order(values, vectors[0].order) if isinstance(vectors[0], TensorNorms) else values
