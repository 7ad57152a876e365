"""The scalars and vectors in an event file, column by column."""

import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stabilimeter.records.events.chunks import checked_events
from stabilimeter.records.events.columns import Columns, Piece
from stabilimeter.records.events.frames import find_frames
from stabilimeter.records.events.layouts import Layouts
from stabilimeter.records.record_error import RecordError


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


def read_event_file(path: str | os.PathLike[str], layouts: Layouts | None = None) -> EventFile:
    """The scalars and vectors in an event file; every checksum is checked.

    Images, histograms, text and the like are left out.

    Args:
        path: The file.
        layouts: The layouts met in other files so far, and then in this one.

    Raises:
        RecordError: if the file cannot be read, is corrupt or is not an event file; names the byte offset. An
            unfinished event at the end is no error.
    """
    path = Path(path)
    try:
        buffer = np.fromfile(path, np.uint8)
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror or error}") from error
    return decode(buffer, path, layouts or Layouts())


def decode(buffer: NDArray[np.uint8], path: Path, layouts: Layouts, *, offset: int = 0, events: int = 0) -> EventFile:
    """The scalars and vectors in an event file, or in a piece of one that starts with a whole event.

    Args:
        buffer: The bytes, ``(size,)``.
        path: The file.
        layouts: The layouts met so far.
        offset: Where the piece starts in the file.
        events: How many events come before it.

    Returns:
        What the piece holds; ``size`` and ``events`` include what comes before it.

    Raises:
        RecordError: as ``read_event_file``.
    """
    frames = find_frames(buffer)
    found = EventFile(
        path,
        torn_at=None if frames.end == len(buffer) else offset + frames.end,
        size=offset + len(buffer),
        events=events + frames.total,
    )
    pieces: dict[Columns, list[Piece]] = defaultdict(list)
    for chunk in checked_events(buffer, frames, str(path), offset):
        for layout, rows, order in layouts.rows(chunk, str(path), offset):
            found.session_starts += layout.session_starts(rows, events + order)
            for piece in layout.pieces(rows, events + order):
                pieces[piece.columns].append(piece)
    found.session_starts.sort()
    _assemble(found, pieces)
    return found


def _assemble(found: EventFile, pieces: dict[Columns, list[Piece]]) -> None:
    """Turn the pieces of each set of columns into one track per tag, in the order of the file."""
    scalars: dict[str, list[Track]] = defaultdict(list)
    vectors: dict[str, list[Track]] = defaultdict(list)
    for columns, parts in pieces.items():
        order = np.concatenate([part.order for part in parts], axis=1)
        steps = np.concatenate([part.steps for part in parts], axis=1)
        values = np.concatenate([part.values for part in parts], axis=0 if columns.is_vector else 1)
        if (
            order[0, 1:] < order[0, :-1]
        ).any():  # rows of frames do not overlap: what holds for one column holds for all
            ascending = np.argsort(order[0], kind="stable")
            order, steps = order[:, ascending], steps[:, ascending]
            values = values[ascending] if columns.is_vector else values[:, ascending]
        lowest, highest = steps.min(axis=1).tolist(), steps.max(axis=1).tolist()
        for number, tag in enumerate(columns.tags):
            event = 0 if columns.is_shared else number
            low, high = found.ends.get(tag, (lowest[event], highest[event]))
            found.ends[tag] = min(low, lowest[event]), max(high, highest[event])
            if columns.is_vector:
                vectors[tag].append(Track(order[event], steps[event], values))
            else:
                scalars[tag].append(Track(order[event], steps[event], values[number]))
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
    tracks = sorted(tracks, key=lambda track: int(track.order[0]))
    whole = Track(*(np.concatenate(parts) for parts in zip(*tracks, strict=True)))
    if (whole.order[1:] > whole.order[:-1]).all():
        return whole
    ascending = np.argsort(whole.order, kind="stable")
    return Track(*(column[ascending] for column in whole))
