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
from stabilimeter.records.record_error import RecordError

SUMMARY_DIR = "across_seeds"
"""Folder of our own summary output; never a run."""
_BOILERPLATE = re.compile(r"version_\d+|tensorboard|csv|checkpoint-\d+|lightning_logs")
_BOILERPLATE_FILES = re.compile(r"metrics|progress|logs?|history|results|train(ing)?_log|trainer_state")
"""Names that training libraries give to every log; the folder tells such logs apart."""


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
        if not folder.is_dir():
            return [self.path]
        return [path for path in folder.iterdir() if EVENT_FILE_MARK in path.name and path.is_file()]


def find_runs(root: Path) -> list[RunSource]:
    """The runs at ``root`` and below, in natural order.

    A folder is a run if it holds our record or event files; what lies beneath belongs to it. In any other folder
    each CSV file with a step column is a run, unless another logger of the same run left event files (folders ``csv``
    and ``tensorboard`` side by side). Hidden folders and our own summaries are passed over, and so is a link to
    something inside ``root``, which would count twice.

    Raises:
        RecordError: if a folder cannot be read.
    """
    try:
        found = list(_runs_in(root, {root.resolve()}))
    except OSError as error:
        raise RecordError(f"cannot read the folder {error.filename}: {error.strerror}") from error
    with_events = {significant_parts(run.path, root) for run in found if run.source is not Source.CSV}
    return [
        run for run in found if run.source is not Source.CSV or significant_parts(run.path, root) not in with_events
    ]


def significant_parts(path: Path, root: Path) -> tuple[str, ...]:
    """The parts of a run's path below ``root`` that say something about it (``version_0`` and the like do not)."""
    parts = list(path.relative_to(root).parts)
    if parts and path.is_file():
        parts[-1] = Path(parts[-1]).stem
        if _BOILERPLATE_FILES.fullmatch(parts[-1]):
            parts.pop()
    return tuple(part for part in parts if not _BOILERPLATE.fullmatch(part))


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Sort key that puts ``seed=2`` before ``seed=10``."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]


def _runs_in(folder: Path, linked: set[Path]) -> Iterator[RunSource]:
    """The runs below ``folder``; ``linked`` are the folders that links may not lead into (again)."""
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
        if entry.is_symlink():
            target = path.resolve()
            if any(target.is_relative_to(other) for other in linked):
                continue
            linked.add(target)
        if entry.is_dir():
            yield from _runs_in(path, linked)
        elif path.suffix.lower() == ".csv" and is_csv_log(path):
            yield RunSource(path, Source.CSV)
