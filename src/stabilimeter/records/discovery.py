"""Where the runs in a folder are."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from stabilimeter.records.csv_log import is_csv_log
from stabilimeter.records.event_log import EVENT_FILE_MARK
from stabilimeter.records.manifest import MANIFEST_FILE, RECORD_DIR

SUMMARY_DIR = "stability_summary"
"""Folder of our own summary output; never a run."""
_BOILERPLATE = re.compile(r"version_\d+|tensorboard|csv|checkpoint-\d+|lightning_logs")


class Source(Enum):
    """What a run is read from."""

    RECORD = "record"
    EVENTS = "events"
    CSV = "csv"


@dataclass(frozen=True)
class RunSource:
    """A run that was found.

    Attributes:
        path: Its folder, or its file for a log that is a single file.
        source: What it is read from.
    """

    path: Path
    source: Source

    def event_files(self) -> list[Path]:
        """The event files of the run."""
        folder = self.path / RECORD_DIR if self.source is Source.RECORD else self.path
        return _event_files(folder) if folder.is_dir() else [self.path]


def find_runs(root: Path) -> Iterator[RunSource]:
    """The runs at ``root`` and below, in natural order.

    A folder is a run if it holds our record or event files; what lies beneath belongs to it. In any other folder
    each CSV file with a step column is a run. Hidden folders and our own summaries are passed over, and so is
    a link to something inside ``root``, which would count twice.
    """
    yield from _runs_in(root, root.resolve())


def significant_parts(path: Path) -> tuple[str, ...]:
    """The parts of a relative path that say something about a run (``version_0`` and the like do not)."""
    return tuple(part for part in path.parts if not _BOILERPLATE.fullmatch(part))


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Sort key that puts ``seed=2`` before ``seed=10``."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]


def _runs_in(folder: Path, root: Path) -> Iterator[RunSource]:
    if (folder / RECORD_DIR / MANIFEST_FILE).is_file():
        yield RunSource(folder, Source.RECORD)
        return
    entries = sorted(os.scandir(folder), key=lambda entry: natural_key(entry.name))
    if any(EVENT_FILE_MARK in entry.name and entry.is_file() for entry in entries):
        yield RunSource(folder, Source.EVENTS)
        return
    for entry in entries:
        path = Path(entry.path)
        if entry.name.startswith(".") or entry.name == SUMMARY_DIR:
            continue
        if entry.is_symlink() and path.resolve().is_relative_to(root):
            continue
        if entry.is_dir():
            yield from _runs_in(path, root)
        elif path.suffix.lower() == ".csv" and is_csv_log(path):
            yield RunSource(path, Source.CSV)


def _event_files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if EVENT_FILE_MARK in path.name and path.is_file()]
