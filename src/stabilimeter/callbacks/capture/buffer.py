"""Measurements since the last flush, left on the device until one copy brings them all to the host.

With several ranks they are put together there, sent through one collective, and copied once more.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stabilimeter.callbacks.capture.gradients import Order, TensorNorms, by_layer, totals
from stabilimeter.callbacks.capture.sharding import combined_over_ranks
from stabilimeter.callbacks.capture.signal import Measured, Reduction

_ON_DEVICE = (Tensor, TensorNorms)


class Rows(NamedTuple):
    """A vector at some of the rows.

    Attributes:
        rows: Numbers of the rows, shape (n,), increasing.
        values: Shape (n, length).
    """

    rows: NDArray[np.intp]
    values: NDArray[np.float64]


class Measurements(NamedTuple):
    """What one flush brought to the host.

    Attributes:
        values: Shape (num_rows, num_columns).
        measured: Which of them exist, same shape; NaN is a value, a missing measurement is not.
        vectors: The vectors that exist, by number.
    """

    values: NDArray[np.float64]
    measured: NDArray[np.bool_]
    vectors: dict[int, Rows]


class Buffer:
    """Rows of 0-d tensors and plain numbers, and with some of them a few vectors.

    Adding computes nothing: the tensors are kept as they are, and put together at the flush.

    Args:
        columns: How ranks are combined, per column.
        vectors: The same, per vector.
        every_row: The length of those vectors of which each rank must send one for every row, by number; zeros where
            it has none.
        device: Where the parameters are.
        world_size: Number of ranks.
        sharded: Whether ranks hold different parts of the parameters.
    """

    def __init__(
        self,
        columns: Sequence[Reduction],
        vectors: Sequence[Reduction] = (),
        every_row: Mapping[int, int] | None = None,
        *,
        device: torch.device,
        world_size: int = 1,
        sharded: bool = False,
    ) -> None:
        self._columns = columns
        self._vectors = vectors
        self._every_row = every_row or {}
        self._world_size = world_size
        self._sharded = sharded
        self._device = device
        self._rows: list[tuple[list[Any], Sequence[tuple[int, Tensor | TensorNorms]]]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: list[Measured], vectors: Sequence[tuple[int, Tensor | TensorNorms]] = ()) -> None:
        """Add the measurements of one step.

        Args:
            row: One per column; None where there is none. It is the buffer's from now on.
            vectors: Number and value of each vector measured. Any that is not in ``every_row`` must come on all ranks
                if on any. Anything but a norm is averaged over ranks.
        """
        self._rows.append((row, vectors))

    def take(self, *, combine: bool) -> Measurements:
        """Empty the buffer: one copy from the device, however many rows and columns; one more if ranks are combined.

        Args:
            combine: Combine with the other ranks, by one collective. All ranks must then call this; False after an
                exception, when the others may be gone.
        """
        num_rows, num_columns = len(self._rows), len(self._columns)
        numbers, packs = self._packed()
        measured = np.array([number is not None for number in numbers], dtype=bool).reshape(num_rows, num_columns)
        values = np.array(numbers, dtype=np.float64).reshape(num_rows, num_columns)  # None becomes NaN
        vectors: dict[int, list[Rows]] = {}
        held = _on_host([tensor for pack in packs for tensor in pack.on_device(self._device)])
        for pack in packs:
            rows = np.array(pack.rows, dtype=np.intp)
            for place, found, order in pack.unpacked(held):
                if place < num_columns:
                    values[rows, place] = found[:, 0] if order is None else totals(found, order)
                    measured[rows, place] = True
                else:
                    vector = found if order is None else by_layer(found, order)
                    vectors.setdefault(place - num_columns, []).append(Rows(rows, vector))
        own = Measurements(values, measured, {number: _in_order(parts) for number, parts in vectors.items()})
        if combine and self._world_size > 1:
            return self._combined(own)
        for column, kind in enumerate(self._columns):
            if kind is Reduction.VARIANCE:  # one rank has none
                values[:, column], measured[:, column] = math.nan, False
        return own

    def _packed(self) -> tuple[list[float | None], list["_Pack"]]:
        """What was never on the device, row after row, None for all else; and what is there, by kind of row."""
        numbers: list[float | None] = []
        packs: dict[tuple[object, ...], _Pack] = {}
        on_device: dict[tuple[type, ...], list[int]] = {}
        for i, (row, vectors) in enumerate(self._rows):
            types = tuple(map(type, row))
            if types not in on_device:
                on_device[types] = [column for column, kind in enumerate(types) if issubclass(kind, _ON_DEVICE)]
            pieces: list[tuple[int, Any]] = [(column, row[column]) for column in on_device[types]]
            pieces += [(len(row) + number, vector) for number, vector in vectors]
            first: dict[int, int] = {}
            key = tuple([(place, _kind(piece), first.setdefault(id(piece), place)) for place, piece in pieces])
            pack = packs.get(key)
            if pack is None:
                pack = packs[key] = _Pack(pieces)
            pack.add(i, pieces)
            for column in on_device[types]:
                row[column] = None
            numbers += row
        self._rows = []
        return numbers, list(packs.values())

    def _combined(self, own: Measurements) -> Measurements:
        """The measurements of all ranks, NaN where one of them has none."""
        num_rows = len(own.values)
        columns = [column for column, kind in enumerate(self._columns) if kind is not Reduction.RANK_ZERO]
        variances = [column for column in columns if self._columns[column] is Reduction.VARIANCE]
        vectors = dict(own.vectors)
        for number, length in self._every_row.items():
            whole = np.zeros((num_rows, length))
            if number in vectors:
                whole[vectors[number].rows] = vectors[number].values
            vectors[number] = Rows(np.arange(num_rows), whole)
        sent = [(own.values[:, column], self._is_norm(self._columns[column])) for column in columns]
        sent += [(own.values[:, column] ** 2, False) for column in variances]
        sent += [(vectors[number].values, self._is_norm(self._vectors[number])) for number in sorted(vectors)]
        flat = np.concatenate([part.ravel() for part, _ in sent])
        is_norm = np.concatenate([np.full(part.size, norm) for part, norm in sent])
        dtype = torch.float32 if self._device.type == "mps" else torch.float64
        on_device = torch.from_numpy(flat).to(self._device, dtype)
        combined = combined_over_ranks(on_device, torch.from_numpy(is_norm).to(self._device), self._world_size)
        ends = np.cumsum([part.size for part, _ in sent])[:-1]
        arrived = np.split(combined.cpu().numpy().astype(np.float64), ends)
        values = own.values.copy()
        for column, part in zip(columns, arrived, strict=False):
            values[:, column] = part
        for column, squares in zip(variances, arrived[len(columns) :], strict=False):
            unbiased = self._world_size / (self._world_size - 1)
            values[:, column] = unbiased * np.maximum(squares - values[:, column] ** 2, 0.0)
        for number, part in zip(sorted(vectors), arrived[len(columns) + len(variances) :], strict=True):
            rows = vectors[number]
            vectors[number] = rows._replace(values=part.reshape(rows.values.shape))
        return own._replace(values=values, vectors=vectors)

    def _is_norm(self, kind: Reduction) -> bool:
        return self._sharded and kind is Reduction.ROOT_SUM_SQUARE


class _Pack:
    """Rows that hold the same on the device.

    Attributes:
        rows: Their numbers.
    """

    def __init__(self, pieces: Sequence[tuple[int, Tensor | TensorNorms]]) -> None:
        self.rows: list[int] = []
        distinct = list(dict.fromkeys(id(piece) for _, piece in pieces))
        self._sources = [next(i for i, (_, piece) in enumerate(pieces) if id(piece) == of) for of in distinct]
        self._parts: list[list[Tensor]] = [[] for _ in distinct]
        self._places = [
            (place, distinct.index(id(piece)), piece.order if isinstance(piece, TensorNorms) else None)
            for place, piece in pieces
        ]

    def add(self, row: int, pieces: Sequence[tuple[int, Tensor | TensorNorms]]) -> None:
        """Add a row with the same at the same places."""
        self.rows.append(row)
        for i, parts in zip(self._sources, self._parts, strict=True):
            piece = pieces[i][1]
            parts += piece.parts if isinstance(piece, TensorNorms) else (piece,)

    def on_device(self, device: torch.device) -> Iterator[Tensor]:
        """What the rows hold, one tensor of shape (num_rows, length) after the other."""
        for parts in self._parts:
            if any(part.device != device for part in parts):
                parts = [part.to(device) for part in parts]
            with torch.no_grad():
                yield torch.stack(parts).reshape(len(self.rows), -1)

    def unpacked(self, held: Iterator[NDArray[np.float64]]) -> Iterator[tuple[int, NDArray[np.float64], Order | None]]:
        """Place of each piece, its values, shape (num_rows, length), and their order if they are norms.

        Args:
            held: What `on_device` gave, on the host; as much is taken as belongs to this pack.
        """
        own = [next(held) for _ in self._parts]
        for place, i, order in self._places:
            yield place, own[i], order


def _kind(piece: Tensor | TensorNorms) -> object:
    """Pieces of one kind have as many numbers, which mean the same."""
    return (piece.order, len(piece.parts)) if isinstance(piece, TensorNorms) else piece.shape


def _on_host(tensors: Sequence[Tensor]) -> Iterator[NDArray[np.float64]]:
    """The same matrices on the host, after one copy from the device."""
    if not tensors:
        return
    dtype = reduce(torch.promote_types, {tensor.dtype for tensor in tensors}, torch.float32)
    together = torch.cat([tensor.flatten().to(dtype) for tensor in tensors]).cpu().numpy().astype(np.float64)
    ends = np.cumsum([tensor.numel() for tensor in tensors]).tolist()
    for tensor, start, end in zip(tensors, [0, *ends], ends, strict=False):
        yield together[start:end].reshape(tensor.shape)


def _in_order(parts: Sequence[Rows]) -> Rows:
    """Parts of one vector, joined."""
    if len(parts) == 1:
        return parts[0]
    rows = np.concatenate([part.rows for part in parts])
    order = np.argsort(rows)
    return Rows(rows[order], np.concatenate([part.values for part in parts])[order])
