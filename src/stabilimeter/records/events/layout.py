"""What an event looks like: where its numbers lie, and which of its bytes say so.

Events that differ in their numbers only are decoded together: one of them is parsed field by field here, and every
event with the same bytes in all other places has its numbers in the same places.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stabilimeter.records.events.encoding import VECTOR_PLUGIN

_SESSION_START = 1
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EVENT_WIRE = {1: _FIXED64, 2: _VARINT, 3: _BYTES, 4: _BYTES, 5: _BYTES, 6: _BYTES, 7: _BYTES, 8: _BYTES, 9: _BYTES}
_STRING = 7
_BFLOAT16 = 14
_CONTENT = {1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 6: "i1", 9: "<i8", _BFLOAT16: "<u2", 19: "<f2"}
"""TensorFlow's data types to the bytes of their elements in ``tensor_content``."""
_PACKED = {5: "<f4", 6: "<f8"}
"""Fields of a tensor that hold its elements one after the other."""
_HALF_VAL = 13
_FIRST_ELEMENTS = 4
"""Fields of a tensor from this number on hold its elements."""


class Number(NamedTuple):
    """Where the number or numbers of one tag lie in an event.

    Attributes:
        tag: The tag.
        at: Offset of the first byte.
        kind: NumPy type of the bytes there.
        width: How many numbers.
        is_vector: A vector of ours, not a scalar.
        bfloat16: The bytes are the upper half of float32 numbers.
        literal: The number itself where its bytes have no fixed place (half-precision varints).
    """

    tag: str
    at: int
    kind: str
    width: int
    is_vector: bool
    bfloat16: bool = False
    literal: float | None = None


class Layout:
    """The layout of one event, and of all events that equal it but for their numbers.

    Attributes:
        numbers: Where its numbers lie.
        step_at: Where the bytes of its step lie, lowest first.
        session_start: The event says that a process starts here.
        example: ``(length,)`` uint8, one of the events.
        mask: ``(length,)`` uint8, the bits of each byte that are the same in all events of the layout: all but those of
            numbers, of the step, of the time, and of what is not read (images, histograms, text).

    Raises:
        ValueError: if the bytes are not a TensorBoard event.
    """

    def __init__(self, row: NDArray[np.uint8]) -> None:
        self.numbers: list[Number] = []
        self.session_start = False
        self.example = row.copy()
        self.step_at = range(0)
        self.mask = np.full(len(row), 0xFF, np.uint8)
        try:
            self._parse(row.tobytes())
        except (IndexError, UnicodeDecodeError) as error:
            raise ValueError(str(error)) from error

    def fits(self, found: NDArray[np.uint8], columns: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which events are of this layout, by their bytes at ``columns`` only: ``(k, n)`` to ``(n,)``."""
        expected, mask = self.example[columns][:, None], self.mask[columns][:, None]
        same: NDArray[np.bool_] = np.bitwise_or.reduce((found ^ expected) & mask, axis=0) == 0
        return same

    def key(self) -> bytes:
        """The event without its numbers, the same for every event of this layout."""
        return (self.example & self.mask).tobytes()

    def _parse(self, data: bytes) -> None:
        for number, wire, at, size in _fields(data, 0, len(data)):
            if _EVENT_WIRE.get(number, wire) != wire:
                raise ValueError(f"field {number} of wire type {wire}")
            if number == 1:
                self.mask[at : at + size] = 0
            elif number == 2:
                self.step_at = range(at, at + size)
                self.mask[at : at + size] = 0x80
            elif number == 5:
                for part, part_wire, begin, length in _fields(data, at, at + size):
                    if part == 1 and part_wire == _BYTES:
                        self._parse_value(data, begin, begin + length)
            elif number == 7:
                for part, part_wire, begin, _ in _fields(data, at, at + size):
                    if part == 1 and part_wire == _VARINT:
                        self.session_start = _varint(data, begin)[0] == _SESSION_START
            elif wire == _BYTES:
                self.mask[at : at + size] = 0

    def _parse_value(self, data: bytes, begin: int, end: int) -> None:
        tag = plugin = ""
        simple: int | None = None
        tensor: tuple[int, int] | None = None
        for number, wire, at, size in _fields(data, begin, end):
            if number == 1 and wire == _BYTES:
                tag = data[at : at + size].decode()
            elif number == 2 and wire == _FIXED32:
                simple = at
            elif number == 8 and wire == _BYTES:
                tensor = (at, at + size)
            elif number == 9 and wire == _BYTES:
                plugin = _plugin_name(data, at, at + size)
            elif wire == _BYTES:  # a histogram, an image, a sound
                self.mask[at : at + size] = 0
        if simple is not None:
            self._add(Number(tag, simple, "<f4", 1, False))
        elif tensor is not None:
            self._parse_tensor(data, tag, plugin, *tensor)

    def _parse_tensor(self, data: bytes, tag: str, plugin: str, begin: int, end: int) -> None:
        dtype = rank = at = size = 0
        kind: str | None = None
        half: int | None = None
        elements = []
        for number, wire, place, length in _fields(data, begin, end):
            if number >= _FIRST_ELEMENTS and wire == _BYTES:
                elements.append(slice(place, place + length))
            if number == 1 and wire == _VARINT:
                dtype = _varint(data, place)[0]
            elif number == 2 and wire == _BYTES:
                rank = sum(part == 2 for part, *_ in _fields(data, place, place + length))
            elif number == 4 and wire == _BYTES and length:
                at, size, kind = place, length, "content"
            elif number in _PACKED and wire != _VARINT:
                at, size, kind = place, length, _PACKED[number]
            elif number == _HALF_VAL and wire in (_BYTES, _VARINT):
                half = _varint(data, place)[0]
        is_vector = rank == 1 and plugin == VECTOR_PLUGIN
        if (rank and not is_vector) or dtype == _STRING:  # not read
            for content in elements:
                self.mask[content] = 0
            return
        if kind is None and half is not None and not is_vector:
            bits = np.array([half & 0xFFFF], np.uint32)
            literal = (bits << 16).view(np.float32) if dtype == _BFLOAT16 else bits.astype(np.uint16).view(np.float16)
            self._add(Number(tag, 0, "", 1, False, literal=float(literal[0])))
        elif kind is not None and (kind != "content" or dtype in _CONTENT):
            kind = _CONTENT[dtype] if kind == "content" else kind
            width = size // np.dtype(kind).itemsize
            if width == 1 or is_vector:
                self._add(Number(tag, at, kind, width, is_vector, bfloat16=dtype == _BFLOAT16 and kind == "<u2"))

    def _add(self, number: Number) -> None:
        self.numbers.append(number)
        if number.literal is None:
            self.mask[number.at : number.at + number.width * np.dtype(number.kind).itemsize] = 0


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Field number, wire type, offset and size of the content of each field of a message."""
    while at < end:
        key, at = _varint(data, at)
        wire = key & 7
        if wire == _VARINT:
            size = _varint(data, at)[1] - at
        elif wire == _BYTES:
            size, at = _varint(data, at)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if not key >> 3 or at + size > end:
            raise ValueError("a field runs past its end")
        yield key >> 3, wire, at, size
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The varint at ``at`` and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a varint is too long")


def _plugin_name(data: bytes, begin: int, end: int) -> str:
    for number, wire, at, size in _fields(data, begin, end):
        if number == 1 and wire == _BYTES:
            for part, part_wire, place, length in _fields(data, at, at + size):
                if part == 1 and part_wire == _BYTES:
                    return data[place : place + length].decode()
    return ""
