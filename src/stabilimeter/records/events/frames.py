"""Where the events lie in an event file.

Training logs repeat themselves: the same few lengths over and over. As long as they do, a whole stretch of frames is
confirmed by one comparison; only where the pattern breaks are frames followed one by one. Nothing is verified here: a
wrong length shows in its checksum.
"""

import struct
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

HEADER = 12
"""Bytes before an event: its length and the checksum of that."""
OVERHEAD = 16
"""The header and, after the event, its checksum."""
_WINDOW = 1024
"""Frames among which a repeating pattern of lengths is looked for."""
_MIN_STRETCH = 32
"""Frames; a shorter repetition is not worth a comparison."""
_TAIL = 8
"""So many frames are compared before a whole cycle is."""
_MIN_CYCLES = 64
"""A cycle that occurs less often is not worth looking at each of its frames on its own."""


class Pattern(NamedTuple):
    """Frames of the same sizes in a row, at many places of a file.

    Attributes:
        sizes: Bytes in each of the ``k`` frames, header and checksums included.
        at: Offset of the first frame at each of ``n`` places, ascending, ``(n,)``.
        order: How many frames come before it, ``(n,)``.
    """

    sizes: tuple[int, ...]
    at: NDArray[np.int64]
    order: NDArray[np.int64]


class Frames(NamedTuple):
    """Where the whole frames of a file lie.

    Attributes:
        patterns: Every frame is in one of these, once.
        total: How many frames there are.
        end: Offset at which they end.
    """

    patterns: list[Pattern]
    total: int
    end: int


def find_frames(buffer: NDArray[np.uint8]) -> Frames:
    """The whole frames of an event file.

    Args:
        buffer: Content of an event file, ``(size,)``.
    """
    size = len(buffer)
    view = buffer.data
    length_at = struct.Struct("<Q").unpack_from
    found = _Found()
    cycles: dict[int, _Cycle] = {}  # by the size of their first frame
    walked: list[int] = []  # frames followed one by one since the last stretch
    search_at = _MIN_STRETCH
    at = 0
    while at + OVERHEAD <= size:
        end = at + length_at(view, at)[0] + OVERHEAD
        if end > size or (end == at + OVERHEAD and not buffer[at:].any()):
            break
        cycle = cycles.get(end - at)
        if cycle is not None and len(walked) >= cycle.retry_at:
            frames = cycle.repeats(buffer, at)
            if frames >= max(_MIN_STRETCH, len(cycle.sizes)):
                found.walk(walked, at)
                count, rest = divmod(frames, len(cycle.sizes))
                found.stretch(cycle.sizes, at, count)
                at += count * cycle.stride
                walked = []
                if rest:  # where it breaks off once, it often does: before an evaluation, after an epoch
                    walked = (at + cycle.offsets[:rest]).tolist()
                    at += int(cycle.offsets[rest])
                    cycle = _Cycle(cycle.sizes[rest:] + cycle.sizes[:rest])
                    cycles[cycle.sizes[0]] = cycle
                for known in cycles.values():
                    known.retry_at, known.pause = 0, 1
                search_at = _MIN_STRETCH
                continue
            cycle.retry_at = len(walked) + cycle.pause
            cycle.pause = min(2 * cycle.pause, _WINDOW)
        walked.append(at)
        at = end
        if len(walked) >= search_at:
            search_at += min(search_at, _WINDOW)
            window = walked[-_WINDOW:]
            sizes, since = _cycle(np.diff(window, append=at))
            if sizes:  # go back to where it began
                cycles[sizes[0]] = _Cycle(sizes)
                at = window[since]
                del walked[len(walked) - len(window) + since :]
    found.walk(walked, at)
    return Frames(found.patterns(), found.count, at)


class _Cycle:
    """Sizes of frames that repeat, and when it is worth looking for them again."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.sizes = sizes
        self.offsets = np.cumsum([0, *sizes])
        self.stride = sum(sizes)
        self.retry_at, self.pause = 0, 1
        self._lengths = np.array(sizes, np.uint64) - np.uint64(OVERHEAD)
        self._block = max(1, 4 * _MIN_STRETCH // len(sizes))

    def repeats(self, buffer: NDArray[np.uint8], at: int) -> int:
        """How many frames from ``at`` on follow the cycle, in whole cycles at the end of the file."""
        length_at_every_byte = np.ndarray((len(buffer) - 7,), "<u8", buffer.data, strides=(1,))
        room = (len(buffer) - at) // self.stride
        done, block = 0, self._block
        while done < room:
            count = min(block, room - done)
            starts = np.arange(at + done * self.stride, at + (done + count) * self.stride, self.stride)
            same = length_at_every_byte[starts[:, None] + self.offsets[:-1]] == self._lengths
            broken = int(same.argmin())
            if not same.item(broken):
                self._block = max(self._block, done + 1)
                return done * len(self.sizes) + broken
            done += count
            block = min(4 * block, max(self._block, (1 << 16) // len(self.sizes)))
        return done * len(self.sizes)


class _Found:
    """The frames found so far."""

    def __init__(self) -> None:
        self.count = 0
        self._stretches: dict[tuple[int, ...], list[tuple[int, int, int]]] = {}
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._order: list[int] = []

    def walk(self, starts: list[int], end: int) -> None:
        """Frames followed one by one."""
        if starts:
            self._starts += starts
            self._ends += [*starts[1:], end]
            self._order += range(self.count, self.count + len(starts))
            self.count += len(starts)

    def stretch(self, sizes: tuple[int, ...], at: int, count: int) -> None:
        """A cycle repeated ``count`` times."""
        self._stretches.setdefault(sizes, []).append((self.count, at, count))
        self.count += count * len(sizes)

    def patterns(self) -> list[Pattern]:
        """All of them; those that are in no frequent cycle by their size."""
        patterns = []
        starts = [np.array(self._starts, np.int64)]
        sizes = [np.array(self._ends, np.int64) - starts[0]]
        order = [np.array(self._order, np.int64)]
        for cycle, stretches in self._stretches.items():
            stride = sum(cycle)
            at = np.concatenate([begin + stride * np.arange(count) for _, begin, count in stretches])
            place = np.concatenate([first + len(cycle) * np.arange(count) for first, _, count in stretches])
            if len(at) >= _MIN_CYCLES:
                patterns.append(Pattern(cycle, at, place))
            else:
                starts.append((at[:, None] + np.cumsum([0, *cycle[:-1]])).ravel())
                sizes.append(np.tile(np.array(cycle), len(at)))
                order.append((place[:, None] + np.arange(len(cycle))).ravel())
        if any(map(len, starts)):
            patterns += _by_size(np.concatenate(starts), np.concatenate(sizes), np.concatenate(order))
        return patterns


def _by_size(starts: NDArray[np.int64], sizes: NDArray[np.int64], order: NDArray[np.int64]) -> list[Pattern]:
    ascending = np.lexsort((starts, sizes))
    starts, sizes, order = starts[ascending], sizes[ascending], order[ascending]
    bounds = [0, *(np.flatnonzero(np.diff(sizes)) + 1).tolist(), len(sizes)]
    return [Pattern((int(sizes[begin]),), starts[begin:end], order[begin:end]) for begin, end in pairwise(bounds)]


def _cycle(sizes: NDArray[np.int64]) -> tuple[tuple[int, ...], int]:
    """The shortest cycle that ``sizes`` end with, and since which of them it repeats; empty if there is none."""
    if len(sizes) < _MIN_STRETCH:
        return (), 0
    tails = np.lib.stride_tricks.sliding_window_view(sizes, _TAIL)
    for before in np.flatnonzero((tails[-2::-1] == tails[-1]).all(axis=1)).tolist():
        period = before + 1
        seen = max(2 * period, _MIN_STRETCH)
        if seen > len(sizes):
            break
        same = sizes[period:] == sizes[:-period]
        if same[period - seen :].all():
            since = 0 if same.all() else len(same) - int((~same[::-1]).argmax())
            return tuple(sizes[since : since + period].tolist()), since
    return (), 0
