"""One run, read from disk."""

import difflib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stabilimeter.records.csv_log import read_csv_log
from stabilimeter.records.discovery import RunSource, Source, find_runs, significant_parts
from stabilimeter.records.event_log import EVENT_FILE_MARK, read_event_log
from stabilimeter.records.hydra_overrides import overrides_of
from stabilimeter.records.incident_log import INCIDENTS_FILE, read_incidents
from stabilimeter.records.manifest import MANIFEST_FILE, RECORD_DIR, Manifest, RunStatus, read_manifest
from stabilimeter.records.points import Points
from stabilimeter.records.process import Process, is_alive
from stabilimeter.records.record_error import RecordError
from stabilimeter.stats.incident import Incident

SILENCE_S = 60.0
"""A run on another host counts as dead after this long without a heartbeat."""


@dataclass(frozen=True, eq=False)
class Series:
    """One logged series; steps at which nothing was logged are not in it.

    Attributes:
        steps: ``(n,)`` int64, strictly increasing.
        values: ``(n,)`` float64; NaN and infinity are values that were logged.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Run:
    """One run: everything is read and checked when the run is made, nothing is read later.

    Attributes:
        path: Its folder, or its file for a log that is a single file.
        label: Short name among its siblings, for example ``"seed=0"``.
        seed: The seed, or the label where none is known.
        manifest: What the run says about itself; None for a log that we did not write.
        status: How it stands.
        notes: Sentences about how it was read: what was left out and why.
        incidents: Recorded incidents, by step.
    """

    path: Path
    label: str
    seed: int | str
    manifest: Manifest | None
    status: RunStatus
    notes: tuple[str, ...] = ()
    incidents: tuple[Incident, ...] = ()
    _scalars: Mapping[str, Points] = field(default_factory=dict, repr=False)
    _vectors: Mapping[str, Points] = field(default_factory=dict, repr=False)

    def keys(self) -> tuple[str, ...]:
        """Names of all scalar series, sorted."""
        return tuple(self._scalars)

    def vector_keys(self) -> tuple[str, ...]:
        """Names of all vector series, sorted."""
        return tuple(self._vectors)

    def __contains__(self, key: object) -> bool:
        return key in self._scalars

    def __iter__(self) -> Iterator[str]:
        return iter(self._scalars)

    def __len__(self) -> int:
        return len(self._scalars)

    def __getitem__(self, key: str) -> Series:
        if key not in self._scalars:
            raise KeyError(_missing(key, self._scalars, self.path))
        points = self._scalars[key]
        return Series(points.steps, points.values.astype(np.float64))

    def vectors(self, key: str) -> tuple[NDArray[np.int64], NDArray[np.float64], tuple[str, ...]]:
        """Steps ``(n,)``, values ``(n, k)`` and the ``k`` names of a vector series.

        Elements without a recorded name are called ``"0"``, ``"1"`` and so on.

        Raises:
            KeyError: if there is no such vector.
        """
        if key not in self._vectors:
            raise KeyError(_missing(key, self._vectors, self.path))
        points = self._vectors[key]
        width = points.values.shape[1]
        specs = self.manifest.signals if self.manifest else ()
        names = next((spec.names for spec in specs if spec.key == key), ())
        return points.steps, points.values.astype(np.float64), names if len(names) == width else _numbers(width)


def read_run(path: str | os.PathLike[str]) -> Run:
    """The run at ``path``: a run folder of ours, a folder of event files, an event file, or a CSV log.

    Raises:
        RecordError: if there is no run at ``path``, several, or one that cannot be read.
    """
    source = single_source(Path(path))
    return run_from(source, label=own_label(source), root=source.path)


def own_label(source: RunSource) -> str:
    """Name of a run that is read on its own: the last part of its path that says something about it."""
    path = source.path.resolve()
    if path.is_file() and source.source is Source.EVENTS:
        path = path.parent
    parts = significant_parts(path, Path(path.anchor))
    return parts[-1] if parts else path.name


def run_from(source: RunSource, *, label: str, root: Path) -> Run:
    """Read the run that was found at ``source``.

    Args:
        source: Where it is.
        label: Its name among its siblings.
        root: Topmost folder in which to look for what Hydra noted about it.

    Raises:
        RecordError: if it cannot be read.
    """
    path = source.path
    manifest = None
    status = RunStatus.UNKNOWN
    incidents: tuple[Incident, ...] = ()
    notes: list[str] = []
    if source.source is Source.RECORD:
        manifest = read_manifest(path / RECORD_DIR / MANIFEST_FILE)
        status = _status(manifest)
        incidents, torn_at = read_incidents(path / RECORD_DIR / INCIDENTS_FILE)
        if torn_at is not None:
            notes.append(f"{INCIDENTS_FILE}: unfinished last line left out (byte {torn_at})")
    seed = manifest.seed if manifest else None
    if seed is None:
        overrides = overrides_of(path, root)
        seed = overrides.seed if overrides else None
    scalars: Mapping[str, Points]
    vectors: Mapping[str, Points] = {}
    if source.source is Source.CSV:
        table = read_csv_log(path)
        scalars, found = table.scalars, table.notes
    else:
        log = read_event_log(source.event_files())
        scalars, vectors, found = log.scalars, log.vectors, log.notes
    return Run(
        path=path,
        label=label,
        seed=label if seed is None else seed,
        manifest=manifest,
        status=status,
        notes=(*notes, *found),
        incidents=incidents,
        _scalars=scalars,
        _vectors=vectors,
    )


def single_source(path: Path) -> RunSource:
    """The only run at ``path``.

    Raises:
        RecordError: if there is none, or several.
    """
    if path.is_file():
        if EVENT_FILE_MARK in path.name:
            return RunSource(path, Source.EVENTS)
        if path.suffix.lower() == ".csv":
            return RunSource(path, Source.CSV)
        raise RecordError(f"{path} is neither an event file (*{EVENT_FILE_MARK}*) nor a CSV log (*.csv)")
    if not path.is_dir():
        raise RecordError(f"{path} does not exist; give the folder of a run, an event file or a CSV log")
    if path.name == RECORD_DIR and (path / MANIFEST_FILE).is_file():
        path = path.parent
    found = find_runs(path)
    if len(found) != 1:
        if found:
            raise RecordError(f"{path} holds {len(found)} runs; name one of them, or use read_sweep for all")
        raise RecordError(
            f"no run in {path}: a {RECORD_DIR}/{MANIFEST_FILE}, event files or a CSV log with a step column are needed"
        )
    return found[0]


def _status(manifest: Manifest) -> RunStatus:
    if manifest.status is not None:
        return manifest.status
    if manifest.pid is not None:
        alive = is_alive(Process(manifest.hostname, manifest.pid, manifest.process_start))
        if alive is not None:
            return RunStatus.RUNNING if alive else RunStatus.DIED
    silent = manifest.heartbeat is None or time.time() - manifest.heartbeat > SILENCE_S
    return RunStatus.DIED if silent else RunStatus.RUNNING


def _missing(key: str, known: Mapping[str, Points], path: Path) -> str:
    near = difflib.get_close_matches(key, known, n=3, cutoff=0.4) or list(known)[:5]
    return f"{key!r} is not in {path}; " + (f"near names: {', '.join(near)}" if near else "it holds no series")


def _numbers(width: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(width))
