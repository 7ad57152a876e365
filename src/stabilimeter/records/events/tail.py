"""An event file that somebody is still writing, read piece by piece."""

import os
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stabilimeter.records.events.decoding import EventFile, decode
from stabilimeter.records.events.layouts import Layouts
from stabilimeter.records.record_error import RecordError

PIECE_BYTES = 1 << 24
"""Read at once unless told otherwise: some 0.1 s of work."""
_SIGNATURE_BYTES = 64
"""The beginning of a file, by which another file of the same name is told: every event file starts with its time."""


class Piece(NamedTuple):
    """What is new in an event file.

    Attributes:
        events: The new events; places, sizes and counts are those in the whole file.
        is_first: The piece starts the file: at the first look, and when the file was replaced by another. What was read
            before it counts no more.
        is_last: There was nothing more to read at the time.
    """

    events: EventFile
    is_first: bool
    is_last: bool


class EventTail:
    """Reads what an event file has gained since the last look.

    Only whole events whose checksums are right are taken; an unfinished one at the end is taken when it is whole. If
    a look fails, the next starts from the same place.

    Args:
        path: The file.

    Attributes:
        position: Bytes of the file that have been taken.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._layouts = Layouts()
        self._forget()

    def _forget(self) -> None:
        self._identity: tuple[int, int] | None = None
        self._signature = b""
        self.position = self._events = 0

    def read(self, at_most: int = PIECE_BYTES) -> Piece:
        """What is new; pieces follow each other until one ``is_last``.

        Args:
            at_most: Bytes to read; more only where a single event is larger.

        Raises:
            RecordError: if the file cannot be read, is corrupt or is not an event file.
        """
        try:
            with self.path.open("rb", buffering=0) as file:
                state = os.fstat(file.fileno())
                signature = file.read(_SIGNATURE_BYTES)
                identity = (state.st_dev, state.st_ino)
                is_same = identity == self._identity and signature.startswith(self._signature)
                if not is_same or state.st_size < self.position:
                    self._forget()
                found, is_last = self._next(file, state.st_size, at_most)
        except OSError as error:
            raise RecordError(f"cannot read {self.path}: {error.strerror or error}") from error
        is_first = self.position == 0
        self._identity, self._signature = identity, signature
        self.position = found.size if found.torn_at is None else found.torn_at
        self._events = found.events
        return Piece(found if is_last else replace(found, torn_at=None), is_first, is_last)

    def _next(self, file: FileIO, size: int, wanted: int) -> tuple[EventFile, bool]:
        """At least one event where there is one, and whether that is all of the ``size`` bytes."""
        while True:
            file.seek(self.position)
            buffer = np.frombuffer(file.read(min(wanted, size - self.position)), np.uint8)
            is_last = self.position + len(buffer) >= size
            found = decode(buffer, self.path, self._layouts, offset=self.position, events=self._events)
            if found.events > self._events or is_last:
                return found, is_last
            wanted *= 2
