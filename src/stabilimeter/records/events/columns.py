"""The numbers in rows of events, column by column."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stabilimeter.records.events.chunks import unaligned
from stabilimeter.records.events.layout import Layout, Number

_STEP_BITS = 7
"""A byte of a varint holds so many; the highest bit says whether another follows."""


class Columns(NamedTuple):
    """Numbers of one type that were logged together.

    Attributes:
        tags: Their tags, ``t``; a vector stands alone.
        kind: NumPy type of the bytes.
        bfloat16: The bytes are the upper half of float32 numbers.
        is_vector: A vector of ours, not scalars.
        width: How many numbers under a tag.
        is_shared: All of one event, so that they share its step.
    """

    tags: tuple[str, ...]
    kind: str
    bfloat16: bool
    is_vector: bool
    width: int
    is_shared: bool


class Piece(NamedTuple):
    """What ``n`` rows hold of some columns.

    Attributes:
        columns: The columns.
        order: Position in the file of each event, ``(t, n)``, or ``(1, n)`` where it is shared.
        steps: Its step, of the same shape.
        values: ``(t, n)``, or ``(n, width)`` for a vector.
    """

    columns: Columns
    order: NDArray[np.int64]
    steps: NDArray[np.int64]
    values: NDArray[Any]


class _Group(NamedTuple):
    """Columns, the event in the row that holds each (one for all if shared), and where the numbers start in the row."""

    columns: Columns
    events: NDArray[np.intp]
    at: NDArray[np.intp]
    literal: float | None


class RowLayout:
    """Where the numbers lie in rows of events that differ in their numbers only.

    Args:
        layouts: The layouts of the ``k`` events in a row.
        begins: Where each begins in the row.
        width: Bytes in a row.
    """

    def __init__(self, layouts: Sequence[Layout], begins: Sequence[int], width: int) -> None:
        self._layouts, self._begins, self._width = layouts, begins, width
        self._starts = [place for place, layout in enumerate(layouts) if layout.session_start]
        self._groups = list(_groups(layouts, begins))
        self._step_bytes: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []
        """For each byte of a step: the events whose step has so many, and where that byte is."""
        for place in range(max(len(layout.step_at) for layout in layouts)):
            which = [event for event, layout in enumerate(layouts) if place < len(layout.step_at)]
            at = [begins[event] + layouts[event].step_at[place] for event in which]
            self._step_bytes.append((np.array(which), np.array(at)))

    def fits(self, row: NDArray[np.uint8], varying: NDArray[np.uint8]) -> bool:
        """Whether rows like ``row``, which differ in the bits ``varying``, have this layout."""
        example, mask = self._pattern
        return not (((row ^ example) | varying) & mask).any()

    @cached_property
    def _pattern(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """A row, and the bits in which it equals all others, ``(width,)`` each."""
        example, mask = np.zeros(self._width, np.uint8), np.zeros(self._width, np.uint8)
        for layout, begin in zip(self._layouts, self._begins, strict=True):
            place = slice(begin, begin + len(layout.mask))
            example[place], mask[place] = layout.example, layout.mask
        return example, mask

    def pieces(self, rows: NDArray[np.uint8], order: NDArray[np.int64]) -> Iterator[Piece]:
        """The numbers in rows of this layout, ``(n, width)``, given the position of the first event of each."""
        steps = self._steps(rows)
        for group in self._groups:
            columns = group.columns
            if group.literal is not None:
                values = np.full((1, len(rows)), group.literal)
            elif columns.is_vector:
                begin, size = int(group.at[0]), np.dtype(columns.kind).itemsize * columns.width
                values = np.ascontiguousarray(rows[:, begin : begin + size]).view(columns.kind)
            else:
                values = unaligned(rows, columns.kind).T[group.at]
            if columns.bfloat16:
                values = (values.astype(np.uint32) << 16).view(np.float32)
            yield Piece(columns, order + group.events[:, None], steps[group.events], values)

    def session_starts(self, rows: NDArray[np.uint8], order: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        """Position in the file and step of each mark in ``rows`` that a process starts here."""
        for event in self._starts:
            yield from zip((order + event).tolist(), self._steps(rows)[event].tolist(), strict=True)

    def _steps(self, rows: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Steps of all events, ``(k, n)``."""
        steps = np.zeros((len(self._layouts), len(rows)), np.int64)
        for place, (events, at) in enumerate(self._step_bytes):
            steps[events] |= (rows.T[at] & 0x7F).astype(np.int64) << _STEP_BITS * place
        return steps


def _groups(layouts: Sequence[Layout], begins: Sequence[int]) -> Iterator[_Group]:
    """The numbers of all events, those of one type together as far as they share a step, or none shares one."""
    together: dict[tuple[str, bool], list[tuple[int, Number]]] = defaultdict(list)
    for event, layout in enumerate(layouts):
        for number in layout.numbers:
            if number.literal is not None or number.is_vector:
                yield _group([(event, number)], begins)
            else:
                together[number.kind, number.bfloat16].append((event, number))
    for members in together.values():
        events = [event for event, _ in members]
        if len(set(events)) in (1, len(events)):
            yield _group(members, begins)
        else:
            for event in sorted(set(events)):
                yield _group([member for member in members if member[0] == event], begins)


def _group(members: list[tuple[int, Number]], begins: Sequence[int]) -> _Group:
    events = [event for event, _ in members]
    first = members[0][1]
    is_shared = len(set(events)) == 1
    tags = tuple(number.tag for _, number in members)
    literal = first.literal is not None
    columns = Columns(tags, "<f8" if literal else first.kind, first.bfloat16, first.is_vector, first.width, is_shared)
    at = np.array([begins[event] + number.at for event, number in members])
    return _Group(columns, np.array(events[:1] if is_shared else events), at, first.literal)
