"""Training values as the bytes of a TensorBoard event file.

An event file is a sequence of TFRecord frames: length (uint64), its masked CRC32C, the event, its masked CRC32C.
Scalars of one step share one event, as ``simple_value``: they are float32 on disk. A finite number beyond float32 is
kept as a float64 tensor, so that it does not turn into infinity.

The messages are event.proto, summary.proto and tensor.proto of TensorBoard, written field by field: importing the
generated classes takes longer than writing a whole run, and a block of steps is one NumPy expression.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stabilimeter.records.events.checksum import crc32c, masked, masked_rows

VECTOR_PLUGIN = "stabilimeter"
"""Plugin name under which vectors are stored; TensorBoard's own dashboards leave them alone."""

_DT_FLOAT, _DT_DOUBLE, _DT_STRING = 1, 2, 7
_DATA_CLASS_TENSOR = 2
_SESSION_START = 1
_TIME_AT = 13
"""Offset of the wall time in a frame: after length, checksum and field number."""
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_VARINT_ENDS = 1 << 7 * np.arange(1, 9)
"""The smallest numbers that take one byte more as a varint; a step of 64 bits takes nine at most."""


def varint(number: int) -> bytes:
    """Protocol-buffer varint of ``number``; negative numbers take ten bytes, as int64 does."""
    number = int(number) & (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def _whole(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def frame(event: bytes) -> bytes:
    """``event`` as a TFRecord frame."""
    length = struct.pack("<Q", len(event))
    return length + struct.pack("<I", masked(crc32c(length))) + event + struct.pack("<I", masked(crc32c(event)))


def event(wall_time: float, step: int, content: bytes) -> bytes:
    """An event with ``content`` (an encoded field of it) at ``step``."""
    return b"\x09" + struct.pack("<d", wall_time) + (_whole(2, step) if step else b"") + content


def summary_event(wall_time: float, step: int, summary: bytes) -> bytes:
    """Frame of an event that holds an encoded ``Summary`` message, however it was made.

    ``tensorboard.plugins.custom_scalar.summary.pb(layout).SerializeToString()`` is such a message.
    """
    return frame(event(wall_time, step, _field(5, summary)))


def file_header(wall_time: float) -> bytes:
    """Frame that starts every event file."""
    return frame(event(wall_time, 0, _field(3, b"brain.Event:2")))


def session_start(wall_time: float, step: int) -> bytes:
    """Frame that says: a process starts here, and whatever was recorded from ``step`` on is superseded.

    TensorBoard itself honours it (``purge_step`` of its writers), so it shows what our reader returns.
    """
    return frame(event(wall_time, step, _field(7, _whole(1, _SESSION_START))))


def text_value(tag: str, text: str) -> bytes:
    """A text summary (shown as Markdown), as one value of a ``Summary``."""
    return _tensor_value(tag, "text", _whole(1, _DT_STRING) + _field(2, b"") + _field(8, text.encode()))


def vector_value(tag: str, values: NDArray[np.float64]) -> bytes:
    """A vector of shape ``(k,)`` as a float32 tensor summary, as one value of a ``Summary``."""
    with np.errstate(over="ignore"):
        content = np.asarray(values, np.float64).astype("<f4")
    finite_lost = np.isinf(content) & np.isfinite(values)
    shape = _field(2, _field(2, _whole(1, len(values))))
    if finite_lost.any():
        return _tensor_value(
            tag, VECTOR_PLUGIN, _whole(1, _DT_DOUBLE) + shape + _field(4, np.asarray(values, "<f8").tobytes())
        )
    return _tensor_value(tag, VECTOR_PLUGIN, _whole(1, _DT_FLOAT) + shape + _field(4, content.tobytes()))


def scalar_value(tag: str, value: float) -> bytes:
    """A scalar, as one value of a ``Summary``."""
    if abs(value) > _FLOAT32_MAX and not np.isinf(value):
        tensor = _whole(1, _DT_DOUBLE) + _field(2, b"") + _field(4, struct.pack("<d", value))
        return _tensor_value(tag, "scalars", tensor)
    return _field(1, _field(1, tag.encode()) + b"\x15" + np.float32(value).tobytes())


def scalars_event(wall_time: float, step: int, values: Mapping[str, float]) -> bytes:
    """Frame of one event with all of ``values``."""
    return summary_event(wall_time, step, b"".join(scalar_value(tag, value) for tag, value in values.items()))


def _tensor_value(tag: str, plugin: str, tensor: bytes) -> bytes:
    metadata = _field(1, _field(1, plugin.encode())) + _whole(4, _DATA_CLASS_TENSOR)
    return _field(1, _field(1, tag.encode()) + _field(8, tensor) + _field(9, metadata))


class _Template(NamedTuple):
    """The frame of one step with zeros where the numbers go.

    Attributes:
        row: The frame, ``(length,)``.
        step_at: Offset of the step's varint.
        values_at: Offsets of all bytes of all values.
        event_columns: Offsets, within the event, of the bytes that differ from step to step.
        event_crc: CRC32C of the event as it is here.
    """

    row: NDArray[np.uint8]
    step_at: int
    values_at: NDArray[np.intp]
    event_columns: NDArray[np.intp]
    event_crc: int


@lru_cache(maxsize=256)
def _template(tags: tuple[str, ...], step_width: int) -> _Template:
    step = b"\x10" + bytes(step_width)
    parts = [_field(1, _field(1, tag.encode()) + b"\x15\0\0\0\0") for tag in tags]
    body = b"\x09" + bytes(8) + step + _field(5, b"".join(parts))
    length = struct.pack("<Q", len(body))
    head = length + struct.pack("<I", masked(crc32c(length)))
    ends = len(head) + len(body) - sum(map(len, parts)) + np.cumsum([len(part) for part in parts])
    values_at = (ends[:, None] + np.arange(-4, 0)).ravel()
    step_at = len(head) + 10
    differing = np.concatenate([np.arange(_TIME_AT, _TIME_AT + 8), step_at + np.arange(step_width), values_at])
    row = np.frombuffer(head + body + bytes(4), np.uint8)
    return _Template(row, step_at, values_at, differing - len(head), crc32c(body))


def scalar_block(
    tags: Sequence[str],
    steps: NDArray[np.int64],
    values: NDArray[np.float64],
    wall_times: NDArray[np.float64],
    logged: NDArray[np.bool_] | None = None,
) -> bytes:
    """Frames of a block of steps, one event per step holding all its scalars.

    Args:
        tags: ``k`` names.
        steps: ``(n,)``, not negative.
        values: ``(n, k)``; NaN and infinity are values.
        wall_times: ``(n,)`` seconds since the epoch.
        logged: ``(n, k)``, False where there is no value at all; None if all are there.

    Returns:
        The frames in the order of ``steps``; a step at which nothing was logged leaves none.
    """
    with np.errstate(over="ignore"):
        single: NDArray[np.float32] = np.asarray(values, np.float64).astype("<f4")
    infinite = np.isinf(single)
    beyond = (
        np.logical_or.reduce(infinite & np.isfinite(values), axis=1) if infinite.any() else np.zeros(len(steps), bool)
    )
    if logged is None and not beyond.any():
        return b"".join(rows.tobytes() for _, rows in _frames(tuple(tags), steps, single, wall_times))
    mask = np.ones(single.shape, np.bool_) if logged is None else np.asarray(logged, np.bool_)
    frames: list[bytes] = [b""] * len(steps)
    rows_with: dict[bytes, list[int]] = {}
    patterns, width = mask.tobytes(), len(tags)
    for row, is_beyond in enumerate(beyond.tolist()):
        pattern = patterns[row * width : (row + 1) * width]
        if not any(pattern):
            continue
        if is_beyond:
            present = {tags[column]: float(values[row, column]) for column in np.flatnonzero(mask[row]).tolist()}
            frames[row] = scalars_event(float(wall_times[row]), int(steps[row]), present)
        else:
            rows_with.setdefault(pattern, []).append(row)
    for chosen in rows_with.values():
        columns = np.flatnonzero(mask[chosen[0]])
        names = tuple(tags[column] for column in columns.tolist())
        for first, rows in _frames(names, steps[chosen], single[chosen][:, columns], wall_times[chosen]):
            for place, content in enumerate(rows, start=first):
                frames[chosen[place]] = content.tobytes()
    return b"".join(frames)


def _frames(
    tags: tuple[str, ...], steps: NDArray[np.int64], single: NDArray[np.float32], wall_times: NDArray[np.float64]
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Frames of steps at which all of ``tags`` are present.

    Yields:
        Number of the first step of a run of frames of equal length, and the frames, ``(num_steps, length)``.
    """
    widths = np.searchsorted(_VARINT_ENDS, steps, side="right") + 1
    bounds = [0, *(np.flatnonzero(np.diff(widths)) + 1).tolist(), len(steps)]
    for first, last in pairwise(bounds if len(steps) else []):
        width = int(widths[first])
        template = _template(tags, width)
        rows = np.tile(template.row, (last - first, 1))
        times = np.ascontiguousarray(wall_times[first:last], "<f8")
        rows[:, _TIME_AT : _TIME_AT + 8] = times.view(np.uint8).reshape(-1, 8)
        rest = steps[first:last]
        for place in range(width):
            more = 0x80 if place < width - 1 else 0
            rows[:, template.step_at + place] = rest & 0x7F | more
            rest = rest >> 7
        rows[:, template.values_at] = np.ascontiguousarray(single[first:last]).view(np.uint8)
        checksums = masked_rows(rows[:, 12:-4], template.event_columns, template.row[12:-4], template.event_crc)
        rows[:, -4:] = checksums.astype("<u4").view(np.uint8).reshape(-1, 4)
        yield first, rows
