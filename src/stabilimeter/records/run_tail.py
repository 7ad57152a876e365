"""A run that is still being written, followed by reading only what is new."""

import os
from collections.abc import Collection
from pathlib import Path

from stabilimeter.records.events.decoding import EventFile, Track, merged
from stabilimeter.records.events.log import EVENT_FILE_MARK, EventLog, event_log, started
from stabilimeter.records.events.tail import PIECE_BYTES, EventTail
from stabilimeter.records.record_error import RecordError


class RunTail:
    """The scalars in the event files of one folder, kept up to date.

    What it holds is what ``read_event_log`` would return for these files, vectors apart: a resumed process starts a
    file of its own and supersedes steps of the one before, and files come, grow, are replaced or vanish.

    Args:
        folder: A folder with event files: the run's own, or its ``stability``.
        keys: Tags to keep, so that a long run of many signals costs no more memory than those; None keeps all.
    """

    def __init__(self, folder: str | os.PathLike[str], keys: Collection[str] | None = None) -> None:
        self.folder = Path(folder)
        self._keys = None if keys is None else frozenset(keys)
        self._files: dict[Path, _FileSoFar] = {}
        self._log: EventLog | None = None
        self._has_news = False
        self.is_behind = False

    def read(self, at_most: int = PIECE_BYTES) -> bool:
        """Read what is new; True if ``log`` says more than at the last call that succeeded.

        Args:
            at_most: Bytes to read; if there is more, ``is_behind`` says so afterwards.

        Raises:
            RecordError: if the folder or a file in it cannot be read, is corrupt or is not an event file. Nothing is
                lost by that: the next call goes on where this one came to.
        """
        try:
            present = {path for path in self.folder.iterdir() if EVENT_FILE_MARK in path.name}
        except OSError as error:
            raise RecordError(f"cannot read {self.folder}: {error.strerror or error}") from error
        for path in self._files.keys() - present:
            del self._files[path]
            self._has_news = True
        self.is_behind = False
        for path in sorted(present, key=started):
            if self.is_behind or at_most <= 0:
                self.is_behind = True
                break
            file = self._files.setdefault(path, _FileSoFar(path, self._keys))
            taken, is_new, is_last = file.read(at_most)
            at_most -= taken
            self._has_news |= is_new
            self.is_behind = not is_last
        news, self._has_news = self._has_news, False
        if news:
            self._log = None
        return news

    def log(self) -> EventLog:
        """The run as far as it has been read."""
        if self._log is None:
            self._log = event_log([self._files[path].events() for path in sorted(self._files, key=started)])
        return self._log


class _FileSoFar:
    """What has been read of one event file."""

    def __init__(self, path: Path, keys: frozenset[str] | None) -> None:
        self._tail = EventTail(path)
        self._keys = keys
        self._read = EventFile(path)
        self._pieces: dict[str, list[Track]] = {}

    def read(self, at_most: int) -> tuple[int, bool, bool]:
        """Bytes taken, whether there was anything new, and whether that was all."""
        position = self._tail.position
        piece = self._tail.read(at_most)
        taken = self._tail.position - (0 if piece.is_first else position)
        new, before = piece.events, self._read
        is_new = new.events > before.events
        if piece.is_first:
            is_new = new.events + before.events > 0
            before, self._pieces = EventFile(new.path), {}
        for tag, track in new.scalars.items():
            if self._keys is None or tag in self._keys:
                self._pieces.setdefault(tag, []).append(track)
        ends = dict(before.ends)
        for tag, (low, high) in new.ends.items():
            lowest, highest = ends.get(tag, (low, high))
            ends[tag] = min(low, lowest), max(high, highest)
        self._read = EventFile(
            new.path,
            session_starts=before.session_starts + new.session_starts,
            ends=ends,
            torn_at=new.torn_at,
            size=new.size,
            events=new.events,
        )
        return taken, is_new, piece.is_last

    def events(self) -> EventFile:
        """The file as far as it has been read."""
        for tag, tracks in self._pieces.items():
            self._pieces[tag] = [merged(tracks)]
        self._read.scalars = {tag: track for tag, (track,) in self._pieces.items()}
        return self._read
