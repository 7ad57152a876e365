"""The scalars and vectors in an event file, column by column."""

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stabilimeter.records.event_frames import EventChunk, checked_events, find_frames
from stabilimeter.records.event_layout import Layout, Number
from stabilimeter.records.record_error import RecordError

_LAYOUTS_BYTES = 1 << 26
"""Events that are remembered as layouts, in bytes; images and texts would fill the memory otherwise."""


class Track(NamedTuple):
    """What one tag recorded, in the order of the file.

    Attributes:
        order: Position in the file of the event that holds each point, ``(n,)``.
        steps: ``(n,)`` int64.
        values: ``(n,)``, or ``(n, k)`` for a vector; of the type it has on disk.
    """

    order: NDArray[np.intp]
    steps: NDArray[np.int64]
    values: NDArray[Any]


@dataclass
class EventFile:
    """What one event file holds.

    Attributes:
        path: The file.
        scalars: Tag to its points.
        vectors: Tag to its points, for vectors that we wrote; one track per length that occurs.
        session_starts: ``(position in the file, step)`` of each mark that supersedes what came before, from that step.
        ends: Tag to its lowest and its highest step.
        torn_at: Byte offset of an unfinished event at the end; None if the file ends properly.
        size: Bytes in the file.
        events: Events in the file.
    """

    path: Path
    scalars: dict[str, Track] = field(default_factory=dict)
    vectors: dict[str, Track] = field(default_factory=dict)
    session_starts: list[tuple[int, int]] = field(default_factory=list)
    ends: dict[str, tuple[int, int]] = field(default_factory=dict)
    torn_at: int | None = None
    size: int = 0
    events: int = 0


_FEW_LAYOUTS = 16
"""Up to so many layouts, going through the rest of the rows again is cheaper than sorting them."""


class _Columns(NamedTuple):
    """Numbers of one type that lie in every event of a layout."""

    tags: tuple[str, ...]
    kind: str
    bfloat16: bool
    is_vector: bool
    width: int


def read_event_file(path: str | os.PathLike[str]) -> EventFile:
    """The scalars and vectors in the event file at ``path``; every checksum is checked.

    Images, histograms, text and the like are left out.

    Raises:
        RecordError: if the file cannot be read, is corrupt or is not an event file; names the byte offset. An
            unfinished event at the end is no error.
    """
    path = Path(path)
    try:
        buffer = np.fromfile(path, np.uint8)
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror or error}") from error
    return decode(buffer, Layouts(path))


def decode(buffer: NDArray[np.uint8], layouts: "Layouts", *, offset: int = 0, events: int = 0) -> EventFile:
    """The scalars and vectors in an event file, or in a piece of one that starts with a whole event.

    Args:
        buffer: The bytes, ``(size,)``.
        layouts: The layouts met in this file so far.
        offset: Where the piece starts in the file.
        events: How many events come before it.

    Returns:
        What the piece holds; ``size`` and ``events`` include what comes before it.

    Raises:
        RecordError: as ``read_event_file``.
    """
    path = layouts.path
    frames = find_frames(buffer)
    found = EventFile(
        path,
        torn_at=None if frames.end == len(buffer) else offset + frames.end,
        size=offset + len(buffer),
        events=events + len(frames.starts),
    )
    pieces: dict[_Columns, list[Track]] = defaultdict(list)
    for chunk in checked_events(buffer, frames, str(path), offset):
        for layout, chosen in layouts.among(chunk, offset):
            if not layout.numbers and not layout.session_start:
                continue
            rows = chunk.rows if len(chosen) == len(chunk.rows) else chunk.rows[chosen]
            order, steps = events + chunk.order[chosen], layout.steps(rows)
            if layout.session_start:
                found.session_starts += zip(order.tolist(), steps.tolist(), strict=True)
            for columns, values in _numbers(layout.numbers, rows):
                pieces[columns].append(Track(order, steps, values))
    found.session_starts.sort()
    _assemble(found, pieces)
    return found


class Layouts:
    """The layouts of the events that have been met so far in the file at ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._by_length: dict[int, dict[bytes, dict[bytes, Layout]]] = defaultdict(dict)
        self._room = _LAYOUTS_BYTES

    def of(self, row: NDArray[np.uint8], start: int) -> Layout:
        """The layout of one event, whose frame starts at byte ``start``."""
        by_mask = self._by_length[len(row)]
        for mask, known in by_mask.items():
            layout = known.get((row & np.frombuffer(mask, np.uint8)).tobytes())
            if layout is not None:
                return layout
        try:
            layout = Layout(row)
        except ValueError as error:
            raise RecordError(
                f"{self.path}: the record at byte {start} is not a TensorBoard event ({error}); "
                "move the file away if it is no log"
            ) from error
        if len(row) <= self._room:
            self._room -= len(row)
            by_mask.setdefault(layout.mask.tobytes(), {})[layout.key()] = layout
        return layout

    def among(self, chunk: EventChunk, offset: int) -> Iterator[tuple[Layout, NDArray[np.intp]]]:
        """Each layout in ``chunk``, of a piece that starts at byte ``offset``, with the rows that have it."""
        by_column = chunk.rows.T
        todo = [np.arange(len(chunk.rows))]
        met = 0
        while todo:
            chosen = todo.pop()
            layout = self.of(chunk.rows[chosen[0]], offset + int(chunk.starts[chosen[0]]))
            columns = np.flatnonzero(chunk.varying & layout.mask)
            if not len(columns):
                yield layout, chosen
                continue
            keys = by_column[columns[:, None], chosen] if met else by_column[columns]
            same = layout.fits(keys, columns)
            yield layout, chosen[same]
            met += 1
            if same.all():
                continue
            if met < _FEW_LAYOUTS:
                todo.append(chosen[~same])
            else:
                todo += _alike(chosen[~same], keys[:, ~same] & layout.mask[columns][:, None])


def _alike(chosen: NDArray[np.intp], keys: NDArray[np.uint8]) -> list[NDArray[np.intp]]:
    """``chosen`` split into those with equal ``keys``; the ones that are alone in that stay together."""
    factors = (np.arange(len(keys), dtype=np.uint64) + 1) * np.uint64(0x9E3779B97F4A7C15)
    hashes = (keys * factors[:, None]).sum(axis=0)
    order = np.argsort(hashes, kind="stable")
    parts = np.split(chosen[order], np.flatnonzero(np.diff(hashes[order])) + 1)
    alone = np.sort([part[0] for part in parts if len(part) == 1])
    return ([alone] if len(alone) else []) + [part for part in parts if len(part) > 1]


def _numbers(numbers: list[Number], rows: NDArray[np.uint8]) -> Iterator[tuple[_Columns, NDArray[Any]]]:
    """The numbers of ``rows``: ``(n, k)`` for ``k`` scalar tags of one type, and for each vector of length ``k``."""
    together: dict[tuple[str, bool], list[Number]] = defaultdict(list)
    for number in numbers:
        if number.literal is not None:
            columns = _Columns((number.tag,), "<f8", False, False, 1)
            yield columns, np.full((len(rows), 1), number.literal)
        elif number.is_vector:
            yield _gathered([number], rows)
        else:
            together[number.kind, number.bfloat16].append(number)
    for group in together.values():
        yield _gathered(group, rows)


def _gathered(group: list[Number], rows: NDArray[np.uint8]) -> tuple[_Columns, NDArray[Any]]:
    first = group[0]
    width = np.dtype(first.kind).itemsize * first.width
    if len(group) == 1:
        raw = np.ascontiguousarray(rows[:, first.at : first.at + width])
    else:
        places = np.array([number.at for number in group])[:, None] + np.arange(width)
        raw = np.ascontiguousarray(rows[:, places.ravel()])
    values = raw.view(first.kind)
    if first.bfloat16:
        values = (values.astype(np.uint32) << 16).view(np.float32)
    columns = _Columns(tuple(number.tag for number in group), first.kind, first.bfloat16, first.is_vector, first.width)
    return columns, values


def _assemble(found: EventFile, pieces: dict[_Columns, list[Track]]) -> None:
    """Turn the pieces of each set of columns into one track per tag, in the order of the file."""
    scalars: dict[str, list[Track]] = defaultdict(list)
    vectors: dict[str, list[Track]] = defaultdict(list)
    for columns, parts in pieces.items():
        order = np.concatenate([part.order for part in parts])
        steps = np.concatenate([part.steps for part in parts])
        values = np.concatenate([part.values for part in parts])
        lowest, highest = int(steps.min()), int(steps.max())
        if (order[1:] < order[:-1]).any():
            ascending = np.argsort(order, kind="stable")
            order, steps, values = order[ascending], steps[ascending], values[ascending]
        for tag in columns.tags:
            low, high = found.ends.get(tag, (lowest, highest))
            found.ends[tag] = min(low, lowest), max(high, highest)
        if columns.is_vector:
            vectors[columns.tags[0]].append(Track(order, steps, values))
        else:
            by_tag = np.ascontiguousarray(values.T)
            for tag, row in zip(columns.tags, by_tag, strict=True):
                scalars[tag].append(Track(order, steps, row))
    found.scalars = {tag: merged(tracks) for tag, tracks in scalars.items()}
    for tag, tracks in vectors.items():
        if len({track.values.shape[1] for track in tracks}) > 1:
            lengths = sorted({track.values.shape[1] for track in tracks})
            raise RecordError(f"{found.path}: vector {tag!r} changes its length ({lengths}); record it under two names")
        found.vectors[tag] = merged(tracks)


def merged(tracks: list[Track]) -> Track:
    """All points of the tracks of one tag, in the order of the file."""
    if len(tracks) == 1:
        return tracks[0]
    order = np.concatenate([track.order for track in tracks])
    ascending = np.argsort(order, kind="stable")
    return Track(
        order[ascending],
        np.concatenate([track.steps for track in tracks])[ascending],
        np.concatenate([track.values for track in tracks])[ascending],
    )
