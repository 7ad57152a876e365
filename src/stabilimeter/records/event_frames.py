"""The events in an event file: where they lie, and whether they are what was written."""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stabilimeter.records.checksum import crc32c, masked, masked_rows, varying_bits
from stabilimeter.records.record_error import RecordError

_HEADER = 12
"""Bytes before an event: its length and the checksum of that."""
_OVERHEAD = 16
"""The header and, after the event, its checksum."""
_WINDOW = 1024
"""Frames among which a repeating pattern of lengths is looked for."""
_FEW_CYCLES = 64
"""A cycle that occurs less often is not worth a list for each of its places."""
_CHUNK_BYTES = 1 << 19


class EventChunk(NamedTuple):
    """Events of equal length whose checksums are right.

    Attributes:
        order: Position of each event in the file, ascending, ``(n,)``.
        starts: Offset of each event's frame in the file, ``(n,)``.
        rows: The events' bytes, ``(n, length)``.
        varying: The bits of each column that are not the same in all ``rows``, ``(length,)``.
    """

    order: NDArray[np.intp]
    starts: NDArray[np.int64]
    rows: NDArray[np.uint8]
    varying: NDArray[np.uint8]


class Frames(NamedTuple):
    """Where the whole frames of a file lie.

    Attributes:
        starts: Offset of each, ``(n,)``.
        end: Offset at which they end.
        alike: Positions in ``starts``, in lists of equally long frames; those at the same place of a cycle, which are
            likely to hold the same tag, are kept together. Each is ascending, and together they are all.
    """

    starts: NDArray[np.int64]
    end: int
    alike: list[NDArray[np.intp]]


def find_frames(buffer: NDArray[np.uint8]) -> Frames:
    """The whole frames of an event file.

    Training logs repeat themselves: the same few lengths over and over. As long as they do, a whole stretch of frames
    is confirmed by one comparison; only where the pattern breaks are frames followed one by one. Nothing is verified
    here: a wrong length shows in its checksum.

    Args:
        buffer: Content of an event file, ``(size,)``.
    """
    size = len(buffer)
    view = buffer.data
    length_at = struct.Struct("<Q").unpack_from
    pieces: list[tuple[NDArray[np.int64], bytes]] = []  # offsets, and the cycle they repeat (empty: none)
    walked: list[int] = []  # frames followed one by one since the last confirmed stretch
    cycle = np.empty(0, np.int64)
    first_size = retry_at = 0
    pause, search_at = 1, 64
    at = 0
    while at + _OVERHEAD <= size:
        end = at + length_at(view, at)[0] + _OVERHEAD
        if end > size or (end == at + _OVERHEAD and not buffer[at:].any()):
            break
        if end - at == first_size and len(walked) >= retry_at:
            repeated = _repeats(buffer, at, cycle)
            if len(repeated):
                pieces += [(np.array(walked, np.int64), b""), (repeated, cycle.tobytes())]
                at = int(repeated[-1] + cycle[-1] - cycle[-2])
                walked = []
                retry_at, pause, search_at = 0, 1, 64
                continue
            retry_at = len(walked) + pause
            pause = min(2 * pause, _WINDOW)
        walked.append(at)
        at = end
        if len(walked) >= search_at:
            search_at += min(search_at, _WINDOW)
            found = _cycle(np.array([*walked[-_WINDOW:], at], np.int64))
            if found is not None:
                cycle, first_size, retry_at, pause = found, int(found[1]), 0, 1
    pieces.append((np.array(walked, np.int64), b""))
    starts = np.concatenate([offsets for offsets, _ in pieces])
    return Frames(starts, at, _alike(pieces, np.diff(starts, append=at)))


def _alike(pieces: list[tuple[NDArray[np.int64], bytes]], sizes: NDArray[np.int64]) -> list[NDArray[np.intp]]:
    """Positions of equally long frames, by their place in a cycle where there is one."""
    stretches: dict[bytes, list[NDArray[np.intp]]] = {}
    first = 0
    for offsets, cycle in pieces:
        stretches.setdefault(cycle, []).append(np.arange(first, first + len(offsets)))
        first += len(offsets)
    alike: list[NDArray[np.intp]] = []
    loose = stretches.pop(b"", [])
    for cycle, parts in stretches.items():
        positions = np.concatenate(parts)
        period = len(cycle) // 8 - 1
        if len(positions) < _FEW_CYCLES * period:
            loose.append(positions)
        else:
            alike += list(positions.reshape(-1, period).T)
    rest = np.sort(np.concatenate(loose))
    lengths = sizes[rest]
    # Sorting 16-bit numbers is several times faster than sorting wider ones.
    order = np.argsort(lengths.astype(np.uint16) if lengths.max(initial=0) < 1 << 16 else lengths, kind="stable")
    bounds = np.flatnonzero(np.diff(lengths[order])) + 1
    return alike + [part for part in np.split(rest[order], bounds) if len(part)]


def _cycle(starts: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Offsets within the shortest cycle of lengths at the end of ``starts``, its own end included; None if none."""
    sizes = np.diff(starts)
    for before in np.flatnonzero(sizes[-2::-1] == sizes[-1]).tolist():
        period = before + 1
        seen = max(2 * period, 32)
        if seen > len(sizes):
            return None
        if (sizes[len(sizes) - seen + period :] == sizes[len(sizes) - seen : -period]).all():
            cycle: NDArray[np.int64] = starts[-1 - period :] - starts[-1 - period]
            return cycle
    return None


def _repeats(buffer: NDArray[np.uint8], at: int, cycle: NDArray[np.int64]) -> NDArray[np.int64]:
    """Offsets of the frames from ``at`` on, as many whole cycles as there are."""
    length_at_every_byte = np.ndarray((len(buffer) - 7,), "<u8", buffer.data, strides=(1,))
    lengths = (np.diff(cycle) - _OVERHEAD).astype(np.uint64)
    stride = int(cycle[-1])
    room = (len(buffer) - at) // stride
    done, block = 0, 16
    pieces = [np.empty(0, np.int64)]
    while done < room:
        count = min(block, room - done)
        starts = at + np.arange(done, done + count)[:, None] * stride + cycle[:-1]
        same = length_at_every_byte[starts] == lengths
        if not same.all():
            pieces.append(starts[: int(same.all(axis=1).argmin())].ravel())
            break
        pieces.append(starts.ravel())
        done += count
        block = min(4 * block, max(16, (1 << 16) // len(lengths)))
    return np.concatenate(pieces)


def checked_events(buffer: NDArray[np.uint8], found: Frames, name: str, offset: int = 0) -> Iterator[EventChunk]:
    """Every event of a file whose checksums are right, in chunks of equal length.

    Args:
        buffer: Content of an event file, ``(size,)``.
        found: Its frames.
        name: Name of the file, for the error.
        offset: Where ``buffer`` starts in the file, for the error.

    Raises:
        RecordError: after the last chunk, if some checksum was wrong; names the first such frame by its byte offset.
            An unfinished frame at the end is no error: it is what a killed writer leaves.
    """
    starts = found.starts
    sizes = np.diff(starts, append=found.end)
    broken = [] if _torn(buffer[found.end :]) else [found.end]
    for positions in found.alike:
        length = int(sizes[positions[0]]) - _OVERHEAD
        head = struct.pack("<Q", length)
        expected = np.frombuffer(head + struct.pack("<I", masked(crc32c(head))), np.uint8)
        frame_at_every_byte = np.ndarray(
            (len(buffer) - length - _OVERHEAD + 1,), f"V{length + _OVERHEAD}", buffer.data, strides=(1,)
        )
        rows_per_chunk = max(1, _CHUNK_BYTES // (length + _OVERHEAD))
        for begin in range(0, len(positions), rows_per_chunk):
            index = positions[begin : begin + rows_per_chunk]
            frames = frame_at_every_byte[starts[index]].view(np.uint8).reshape(len(index), -1)
            rows = frames[:, _HEADER:-4]
            varying = varying_bits(frames)
            event_varying = varying[_HEADER:-4]
            good = np.ascontiguousarray(frames[:, -4:]).view("<u4").ravel() == masked_rows(
                rows, np.flatnonzero(event_varying)
            )
            if varying[:_HEADER].any() or (frames[0, :_HEADER] != expected).any():
                good &= (frames[:, :_HEADER] == expected).all(axis=1)
            if good.all():
                yield EventChunk(index, starts[index], rows, event_varying)
            else:
                broken.append(int(starts[index[int(good.argmin())]]))
    if broken:
        raise RecordError(
            f"{name}: corrupt event file at byte {offset + min(broken)} (checksum mismatch); "
            "restore the file, or move it away to read the run without it"
        )


def _torn(tail: NDArray[np.uint8]) -> bool:
    """Whether the bytes after the last whole frame are the beginning of one (or zeros left by a power cut)."""
    if len(tail) < _HEADER or not tail.any():
        return True
    return masked(crc32c(tail[:8].tobytes())) == int.from_bytes(tail[8:12].tobytes(), "little")
