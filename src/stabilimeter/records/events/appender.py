"""The event file that one process adds to."""

from pathlib import Path

from stabilimeter.records.events.encoding import file_header, session_start
from stabilimeter.records.process import Process


class EventAppender:
    """Adds frames to a new event file in ``folder``; at every `flush` all that was added, or nothing.

    Args:
        folder: Where the file goes; must exist.
        now: Seconds since the epoch.
        process: Who writes.
        supersedes_from: Whatever earlier files of the folder hold from this step on is superseded, which TensorBoard
            and our reader honour (``SessionLog.START``); None if there is no earlier file.

    Raises:
        OSError: if the file cannot be written.
    """

    def __init__(self, folder: Path, now: float, process: Process, supersedes_from: int | None = None) -> None:
        self._path = _next_event_file(folder, now, process)
        self._pending = [file_header(now)]
        if supersedes_from is not None:
            self._pending.append(session_start(now, supersedes_from))
        self.flush()

    def add(self, frames: bytes) -> None:
        """Keep whole frames for the next flush."""
        self._pending.append(frames)

    def flush(self) -> None:
        """Hand what was added to the operating system.

        Raises:
            OSError: if the disk is full, for example; nothing is lost then, the next flush tries again.
        """
        if self._pending:
            append(self._path, b"".join(self._pending))
            self._pending = []


def append(path: Path, content: bytes) -> None:
    """Add ``content`` to a file, all of it or nothing.

    The file is opened each time: no handle outlives a flush, so whoever writes can be copied, forgotten or forked.
    """
    with path.open("ab", buffering=0) as file:
        start = file.tell()
        rest = memoryview(content)
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            file.truncate(start)
            raise


def _next_event_file(folder: Path, now: float, process: Process) -> Path:
    """A new event file; its name sorts after all others in ``folder``, the order in which TensorBoard reads them."""
    second = int(now)
    for other in folder.glob("events.out.tfevents.*"):
        stamp = other.name.split(".")[3]
        second = max(second, int(stamp) + 1 if stamp.isdigit() else 0)
    return folder / f"events.out.tfevents.{second:010d}.{process.hostname}.{process.pid}"
