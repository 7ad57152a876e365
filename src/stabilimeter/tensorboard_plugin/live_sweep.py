"""The log folder as it was last read, and read again when its files change."""

import logging
import math
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from stabilimeter.analysis.primary import UnknownMetricError
from stabilimeter.analysis.summarize import joined, summarize
from stabilimeter.analysis.summary import GroupSummary
from stabilimeter.records.discovery import find_runs
from stabilimeter.records.manifest import RECORD_DIR
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.run_source import RunSource, Source
from stabilimeter.records.sweep import Sweep, read_sweep
from stabilimeter.records.trainer_state import STATE_FILE
from stabilimeter.tensorboard_plugin.snapshot import Snapshot, State
from stabilimeter.tensorboard_plugin.unscored import unscored_group

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]

LOOK_EVERY_S = 3.0
IDLE_AFTER_S = 30.0
"""Nobody looks at the tab any more: stop looking at the files."""
SHOW_EVERY_S = 1.5
"""While groups are judged for the first time, those that have been are shown this often."""
STATUS_EVERY_S = 30.0
"""A run that dies writes nothing: while something runs, read again this often even if no file has changed."""


Files = Mapping[Path, tuple[tuple[str, int, int], ...]]
"""The files of each run with their sizes and times."""


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
        self._seen: Files | None = None
        self._read_at = 0.0
        self._known: dict[Hashable, GroupSummary] = {}

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
            seen = _files(Path(self.folder))
            if seen != self._seen or self._is_due():
                self._read(seen)
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

    def _read(self, files: Files) -> None:
        def on_progress(doing: str) -> Progress:
            return lambda done, total: self._set(doing=doing, done=done, total=total)

        is_new = self._state.snapshot is None
        if is_new:
            first_sight = read_sweep(self.folder, on_unreadable=lambda *_: None, with_series=False)
            if first_sight.groups:
                self._show(first_sight, {})
        unreadable: list[str] = []
        sweep = read_sweep(
            self.folder,
            on_progress=on_progress("reading runs"),
            on_unreadable=lambda path, error: unreadable.append(f"{path} could not be read: {error}"),
        )
        if not sweep.groups:
            raise RecordError("; ".join(unreadable))
        self._judge(sweep, files, tuple(unreadable), is_new=is_new, on_progress=on_progress("judging runs"))

    def _judge(
        self, sweep: Sweep, files: Files, unreadable: tuple[str, ...], *, is_new: bool, on_progress: Progress
    ) -> None:
        """Summarise the groups of which anything has changed, one after the other."""
        known: dict[Hashable, GroupSummary] = {}
        judged: dict[str, GroupSummary] = {}
        done, total = 0, sum(len(group.runs) for group in sweep.groups)
        shown_at = -math.inf
        for group in sweep.groups:
            if is_new and time.monotonic() - shown_at > SHOW_EVERY_S:
                self._show(sweep, judged, unreadable)
                shown_at = time.monotonic()
            on_progress(done, total)
            key = (group.label, *((run.path, run.status, files.get(run.path)) for run in group.runs))
            own = self._known.get(key)
            if own is None:
                own = summarize(Sweep(sweep.path, (group,)), rng=np.random.default_rng(0)).groups[0]
            known[key] = judged[group.label] = own
            done += len(group.runs)
        self._known = known
        self._show(sweep, judged, unreadable, doing=None)

    def _show(
        self, sweep: Sweep, judged: Mapping[str, GroupSummary], unreadable: tuple[str, ...] = (), **changes: object
    ) -> None:
        """A new snapshot; groups that have not been judged are shown as they are."""
        groups = [judged.get(group.label) or unscored_group(group, sweep) for group in sweep.groups]
        version = 1 if self._state.snapshot is None else self._state.snapshot.version + 1
        snapshot = Snapshot(version, sweep, joined(sweep, groups), frozenset(judged), unreadable)
        self._set(snapshot=snapshot, error=None, **changes)

    def _set(self, **changes: object) -> None:
        with self._lock:
            self._state = replace(self._state, **changes)  # type: ignore[arg-type]


def _files(folder: Path) -> Files:
    """The files that each run is read from, as they are now."""
    found = {}
    for source in find_runs(folder):
        states = [(str(file), file.stat()) for file in sorted(_read_from(source))]
        found[source.path] = tuple((name, state.st_size, state.st_mtime_ns) for name, state in states)
    return found


def _read_from(source: RunSource) -> list[Path]:
    if source.exported is not None:  # its path is a name; the exports of a folder are read together
        place = source.path.parent
        return [place] if place.is_file() else list(place.glob("*.csv"))
    if source.path.is_dir() and source.source in (Source.MLFLOW, Source.TRAINER_STATE):
        wanted = "*" if source.source is Source.MLFLOW else STATE_FILE
        return [entry for entry in source.path.rglob(wanted) if entry.is_file()]
    record = source.path / RECORD_DIR
    own = [entry for entry in record.iterdir() if entry.suffix in (".json", ".jsonl")] if record.is_dir() else []
    return source.event_files() + own
