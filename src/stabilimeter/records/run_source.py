"""What discovery finds: runs, and logs that are not read."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from stabilimeter.records.events.log import EVENT_FILE_MARK
from stabilimeter.records.manifest import RECORD_DIR
from stabilimeter.records.scalar_log import ScalarLog


class Source(Enum):
    """What a run is read from; of several logs of one run the first kind is read."""

    RECORD = "record"
    EVENTS = "event files"
    TRAINER_STATE = "trainer_state.json"
    MLFLOW = "MLflow file store"
    CSV = "CSV log"
    JSONL = "JSON lines"
    EXPORT = "export"


@dataclass(frozen=True)
class RunSource:
    """A run that was found.

    Attributes:
        path: Its folder, or its file for a log that is a single file; for a run of an export a name below the folder of
            the export (or below the export, if that was asked for).
        source: What it is read from.
        name: The name that it gave itself; None if only its path names it.
        exported: What exports say about it, read as it was found; None for every other source.
    """

    path: Path
    source: Source
    name: str | None = None
    exported: ScalarLog | None = None

    def event_files(self) -> list[Path]:
        """The event files of the run."""
        folder = self.path / RECORD_DIR if self.source is Source.RECORD else self.path
        if not folder.is_dir():
            return [self.path]
        return [path for path in folder.iterdir() if EVENT_FILE_MARK in path.name and path.is_file()]


class Unread(NamedTuple):
    """A log that is not read.

    Attributes:
        path: The file or folder.
        reason: Why; logs with the same reason are told together.
    """

    path: Path
    reason: str
