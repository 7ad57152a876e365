"""Where the series of many runs are kept: in memory while there is room, then in a temporary file."""

import os
import tempfile
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Lock
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from stabilimeter.records.points import Points
from stabilimeter.records.record_error import RecordError

ROOM = 256 * 2**20
"""Bytes of a sweep that stay in memory: 1,000 series of 60,000 points, steps apart, which runs have in common."""

_Read = Callable[[], NDArray[Any]]


class StoredPoints:
    """The points of one tag, like `Points`; an array that is on disk is read each time that it is asked for."""

    def __init__(self, steps: _Read, values: _Read) -> None:
        self._steps = steps
        self._values = values

    @property
    def steps(self) -> NDArray[np.int64]:
        """``(n,)``, strictly increasing."""
        return self._steps()

    @property
    def values(self) -> NDArray[Any]:
        """``(n,)``, or ``(n, k)`` for a vector."""
        return self._values()


class SeriesStore:
    """Keeps points that have been read, so that memory is bounded however many runs there are.

    Steps that series have in common are kept once: seeds of a group log at the same steps, and so do their tags. Of
    steps with the same number, beginning and end only so many different ones are remembered as are cheap to compare.

    Args:
        room: Bytes that stay in memory; the rest goes into a file without a name in ``TMPDIR`` or ``/var/tmp`` (often
            ``/tmp`` is memory), which is gone when the last series is.
    """

    _AT_MOST = 8

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._known: dict[tuple[int, ...], list[_Read]] = {}
        self._file: IO[bytes] | None = None
        self._lock = Lock()

    def kept(self, points: Points) -> StoredPoints:
        """The same points, kept here.

        Raises:
            RecordError: if the disk is full.
        """
        return StoredPoints(self._kept_steps(points.steps), self._kept(points.values))

    def _kept_steps(self, steps: NDArray[np.int64]) -> _Read:
        known = self._known.setdefault((len(steps), *steps[[0, -1]].tolist()) if len(steps) else (0,), [])
        for earlier in known:
            if np.array_equal(earlier(), steps):
                return earlier
        kept = self._kept(steps)
        if len(known) < self._AT_MOST:
            known.append(kept)
        return kept

    def _kept(self, array: NDArray[Any]) -> _Read:
        if array.nbytes <= self._room:
            self._room -= array.nbytes
            return lambda: array
        try:
            with self._lock:
                if self._file is None:
                    self._file = tempfile.TemporaryFile(prefix="stabilimeter-", dir=_folder())  # noqa: SIM115 (open while it has readers)
                    weakref.finalize(self, self._file.close)
                start = self._file.seek(0, os.SEEK_END)
                self._file.write(np.ascontiguousarray(array).data)
                self._file.flush()
        except OSError as error:
            where = _folder() or tempfile.gettempdir()
            raise RecordError(
                f"the series do not fit in memory and cannot be kept in {where}: {error.strerror}; "
                "set TMPDIR to a folder with more room"
            ) from error
        return partial(self._read, self._file, start, array.dtype, array.shape)

    def _read(self, file: IO[bytes], start: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        with self._lock:
            file.seek(start)
            content = file.read(int(np.prod(shape)) * dtype.itemsize)
        return np.frombuffer(content, dtype).reshape(shape)


def _folder() -> str | None:
    """Where large temporary files belong; None for the usual place."""
    on_disk = Path("/var/tmp")
    return None if "TMPDIR" in os.environ or not on_disk.is_dir() else str(on_disk)
