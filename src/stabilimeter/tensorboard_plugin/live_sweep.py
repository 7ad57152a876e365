"""The log folder as it was last read, and read again when its files change."""

import logging
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from stabilimeter.analysis.first_movers import FailedSeed, failed_seeds
from stabilimeter.analysis.primary import UnknownMetricError
from stabilimeter.analysis.summarize import summarize
from stabilimeter.analysis.summary import GroupSummary, RunSummary, Summary
from stabilimeter.records.discovery import find_runs
from stabilimeter.records.manifest import RECORD_DIR
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.run import Run
from stabilimeter.records.sweep import RunGroup, Sweep, read_sweep
from stabilimeter.tensorboard_plugin.question import QuestionError
from stabilimeter.tensorboard_plugin.unscored import unscored

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]

LOOK_EVERY_S = 3.0
IDLE_AFTER_S = 30.0
"""Nobody looks at the tab any more: stop looking at the files."""
STATUS_EVERY_S = 30.0
"""A run that dies writes nothing: while something runs, read again this often even if no file has changed."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One reading of the folder: the runs, and everything computed from them.

    Attributes:
        version: Grows with each snapshot, from 1.
        sweep: The runs.
        summary: What is known about them.
        is_scored: Whether ``summary`` is complete; at first sight of a folder runs are shown before they are judged.
    """

    version: int
    sweep: Sweep
    summary: Summary
    is_scored: bool = True

    def group(self, label: str) -> tuple[RunGroup, GroupSummary]:
        """A group by its label.

        Raises:
            QuestionError: if there is none.
        """
        for runs, own in zip(self.sweep.groups, self.summary.groups, strict=True):
            if own.label == label:
                return runs, own
        raise QuestionError(f"no group {label!r}")

    def run(self, path: str) -> tuple[GroupSummary, Run, RunSummary]:
        """A run by its path in the summary, with its group.

        Raises:
            QuestionError: if there is none.
        """
        for runs, own in zip(self.sweep.groups, self.summary.groups, strict=True):
            for run, about in zip(runs.runs, own.runs, strict=True):
                if about.path == path:
                    return own, run, about
        raise QuestionError(f"no run {path!r}")

    @cached_property
    def failed(self) -> tuple[FailedSeed, ...]:
        """Every failed seed, and what moved first in it."""
        return failed_seeds(self.sweep, self.summary)


@dataclass(frozen=True, eq=False)
class State:
    """How the reading stands.

    Attributes:
        snapshot: The last complete reading; None before the first.
        doing: What is going on, in words; None if nothing.
        done: Runs done with that.
        total: All runs.
        error: Why the last reading failed, in one line; None if it did not.
    """

    snapshot: Snapshot | None = None
    doing: str | None = None
    done: int = 0
    total: int = 0
    error: str | None = None


class LiveSweep:
    """A log folder that a thread of its own keeps reading while somebody looks.

    Args:
        folder: The folder given to ``tensorboard --logdir``; empty if there was none.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._state = State()
        self._lock = threading.Lock()
        self._asked_at = 0.0
        self._thread: threading.Thread | None = None
        self._seen: Hashable = None
        self._read_at = 0.0

    def state(self) -> State:
        """How the reading stands now; somebody looks, so it goes on."""
        with self._lock:
            self._asked_at = time.monotonic()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._keep_reading, name="stability-reader", daemon=True)
                self._thread.start()
            return self._state

    def _keep_reading(self) -> None:
        while time.monotonic() - self._asked_at < IDLE_AFTER_S:
            began = time.monotonic()
            self._read_if_changed()
            time.sleep(LOOK_EVERY_S + (time.monotonic() - began))  # never more than half the time

    def _read_if_changed(self) -> None:
        try:
            if "://" in self.folder or not self.folder:
                raise RecordError("the Stability tab reads local folders: start TensorBoard with --logdir FOLDER")
            self._set(doing=self._state.doing or ("looking for runs" if self._state.snapshot is None else None))
            seen = _fingerprint(Path(self.folder))
            if seen != self._seen or self._is_due():
                self._read()
                self._seen, self._read_at = seen, time.monotonic()
        except (RecordError, UnknownMetricError, OSError) as error:
            self._set(doing=None, error=" ".join(str(error).split()))
        except Exception as error:
            logger.exception("the Stability tab cannot read %s", self.folder)
            self._set(doing=None, error=f"cannot read the runs: {type(error).__name__}: {error}".replace("\n", " "))

    def _is_due(self) -> bool:
        snapshot = self._state.snapshot
        is_running = snapshot is not None and any(group.n_running for group in snapshot.summary.groups)
        return is_running and time.monotonic() - self._read_at > STATUS_EVERY_S

    def _read(self) -> None:
        def on_progress(doing: str) -> Progress:
            return lambda done, total: self._set(doing=doing, done=done, total=total)

        sweep = read_sweep(self.folder, on_progress=on_progress("reading runs"))
        last = self._state.snapshot
        version = 1 if last is None else last.version + 1
        if last is None:
            first_sight = Snapshot(version, sweep, unscored(sweep), is_scored=False)
            self._set(snapshot=first_sight, error=None)
        summary = summarize(sweep, rng=np.random.default_rng(0), on_progress=on_progress("summarising runs"))
        snapshot = Snapshot(version + 1, sweep, summary)
        self._set(snapshot=snapshot, doing=None, error=None)

    def _set(self, **changes: object) -> None:
        with self._lock:
            self._state = replace(self._state, **changes)  # type: ignore[arg-type]


def _fingerprint(folder: Path) -> Hashable:
    """Changes when a file that a run is read from changes."""
    found = []
    for source in find_runs(folder):
        record = source.path / RECORD_DIR
        files = source.event_files()
        if record.is_dir():
            files += [entry for entry in record.iterdir() if entry.suffix in (".json", ".jsonl")]
        for file in sorted(files):
            status = file.stat()
            found.append((str(file), status.st_size, status.st_mtime_ns))
    return tuple(found)
