"""The events in an event file whose checksums are right."""

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stabilimeter.records.events.checksum import Checksums, crc32c, masked, varying_bits
from stabilimeter.records.events.frames import HEADER, Frames, Pattern
from stabilimeter.records.record_error import RecordError

_CHUNK_ROWS = 8192
_CHUNK_BYTES = 1 << 18
"""What is worked on at once has to fit into the caches of a processor."""


class EventChunk(NamedTuple):
    """Events whose checksums are right, in rows that are alike.

    Attributes:
        events: Where in a row each of ``k`` events begins and ends.
        rows: Whole frames, in the order of the file, ``(n, width)``.
        varying: The bits of each column that are not the same in all ``rows``, ``(width,)``.
        order: Position in the file of the first event of each row, ascending, ``(n,)``.
        at: Offset of each row in the file, ``(n,)``.
    """

    events: tuple[tuple[int, int], ...]
    rows: NDArray[np.uint8]
    varying: NDArray[np.uint8]
    order: NDArray[np.int64]
    at: NDArray[np.int64]


def checked_events(buffer: NDArray[np.uint8], found: Frames, name: str, offset: int = 0) -> Iterator[EventChunk]:
    """Every event of a file whose checksums are right.

    Args:
        buffer: Content of an event file, ``(size,)``.
        found: Its frames.
        name: Name of the file, for the error.
        offset: Where ``buffer`` starts in the file, for the error.

    Raises:
        RecordError: after the last chunk, if some checksum was wrong; names the first such frame by its byte offset.
            An unfinished frame at the end is no error: it is what a killed writer leaves.
    """
    broken = [] if _torn(buffer[found.end :]) else [found.end]
    for pattern in found.patterns:
        ends = np.cumsum(pattern.sizes).tolist()
        begins = [end - size for end, size in zip(ends, pattern.sizes, strict=True)]
        events = tuple((begin + HEADER, end - 4) for begin, end in zip(begins, ends, strict=True))
        heads = np.concatenate([_head(end - begin) for begin, end in events])
        head_columns = (np.array(begins)[:, None] + np.arange(HEADER)).ravel()
        stored_at = np.array(ends) - 4
        checksums = _checksums(events)
        for at, order, rows in _rows(buffer, pattern):
            varying = varying_bits(rows)
            stored = unaligned(rows, "<u4").T[stored_at]
            good = stored == checksums.masked(rows, varying)
            if varying[head_columns].any() or (rows[0, head_columns] != heads).any():
                good &= (rows[:, head_columns] == heads).reshape(len(rows), -1, HEADER).all(axis=2).T
            if good.all():
                yield EventChunk(events, rows, varying, order, at)
            else:
                frame, row = np.nonzero(~good)
                broken.append(int((at[row] + np.array(begins)[frame]).min()))
    if broken:
        raise RecordError(
            f"{name}: corrupt event file at byte {offset + min(broken)} (checksum mismatch); "
            "restore the file, or move it away to read the run without it"
        )


@lru_cache(maxsize=256)
def _checksums(events: tuple[tuple[int, int], ...]) -> Checksums:
    return Checksums(events)


@lru_cache(maxsize=1024)
def _head(length: int) -> NDArray[np.uint8]:
    """What a frame of an event of this length starts with."""
    head = struct.pack("<Q", length)
    return np.frombuffer(head + struct.pack("<I", masked(crc32c(head))), np.uint8)


def _rows(
    buffer: NDArray[np.uint8], pattern: Pattern
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]]:
    """Offsets, positions and bytes, ``(n, width)``, of the places of a pattern, some at a time."""
    width = sum(pattern.sizes)
    count = max(1, min(_CHUNK_ROWS, _CHUNK_BYTES // width))
    for begin in range(0, len(pattern.at), count):
        at, order = pattern.at[begin : begin + count], pattern.order[begin : begin + count]
        if at[-1] - at[0] == (len(at) - 1) * width:  # one after the other
            yield at, order, buffer[at[0] : at[-1] + width].reshape(-1, width)
        else:
            row_at_every_byte = np.ndarray((len(buffer) - width + 1,), f"V{width}", buffer.data, strides=(1,))
            yield at, order, row_at_every_byte[at].view(np.uint8).reshape(-1, width)


def unaligned(rows: NDArray[np.uint8], kind: str) -> NDArray[Any]:
    """``[i, j]``: the number of type ``kind`` that starts at byte ``j`` of row ``i``, in a view of ``rows``."""
    count, width = rows.shape
    return np.ndarray((count, width - np.dtype(kind).itemsize + 1), kind, rows.data, strides=(width, 1))


def _torn(tail: NDArray[np.uint8]) -> bool:
    """Whether the bytes after the last whole frame are the beginning of one (or zeros left by a power cut)."""
    if len(tail) < HEADER or not tail.any():
        return True
    return masked(crc32c(tail[:8].tobytes())) == int.from_bytes(tail[8:12].tobytes(), "little")
