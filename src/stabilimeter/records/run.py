"""One run, read from disk."""

import difflib
import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stabilimeter.records.checkpoint_log import CHECKPOINTS_FILE, CheckpointLog, read_checkpoints
from stabilimeter.records.csv_log import read_csv_log
from stabilimeter.records.discovery import discover, significant_parts
from stabilimeter.records.events.layouts import Layouts
from stabilimeter.records.events.log import EventLog, read_event_log
from stabilimeter.records.example_log import ExampleLog, read_examples
from stabilimeter.records.hydra_overrides import overrides_of
from stabilimeter.records.incident_log import INCIDENTS_FILE, read_incidents
from stabilimeter.records.jsonl_log import read_jsonl_log
from stabilimeter.records.manifest import MANIFEST_FILE, RECORD_DIR, Manifest, RunStatus, read_manifest
from stabilimeter.records.mlflow_store import read_mlflow_run
from stabilimeter.records.overrides import Overrides
from stabilimeter.records.points import Points
from stabilimeter.records.process import Process, is_alive
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.run_source import RunSource, Source
from stabilimeter.records.scalar_log import ScalarLog
from stabilimeter.records.series_store import SeriesStore, StoredPoints
from stabilimeter.records.trainer_state import STATE_FILE, newest_state, read_trainer_state
from stabilimeter.records.unread_notes import unread_notes
from stabilimeter.stats.incident import Incident

SILENCE_S = 60.0
"""A run on another host counts as dead after this long without a heartbeat."""
WHAT_IS_A_RUN = (
    f"a {RECORD_DIR}/{MANIFEST_FILE}, event files, {STATE_FILE}, an MLflow run, or a CSV or JSON-lines log with a step "
    "is needed"
)


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
    """One run: all its files are read and checked when the run is made, and not again.

    Attributes:
        path: Its folder, or its file for a log that is a single file; a name below the export that it comes from.
        label: Short name among its siblings, for example ``"seed=0"``.
        seed: The seed, or the label where none is known.
        manifest: What the run says about itself; None for a log that we did not write.
        status: How it stands.
        notes: Sentences about how it was read: what was left out and why.
        incidents: Recorded incidents, by step.
        checkpoints: Evaluations and checkpoints that a `CheckpointRegression` has recorded; None if none did.
        overrides: What it was started with, as Hydra or a tracker noted it; None if nobody did, or where the
            manifest says more.
        examples: What it got right, example by example; None if nobody recorded that.
    """

    path: Path
    label: str
    seed: int | str
    manifest: Manifest | None
    status: RunStatus
    notes: tuple[str, ...] = ()
    incidents: tuple[Incident, ...] = ()
    checkpoints: CheckpointLog | None = None
    overrides: Overrides | None = None
    examples: ExampleLog | None = None
    _scalars: Mapping[str, Points | StoredPoints] = field(default_factory=dict, repr=False)
    _vectors: Mapping[str, Points | StoredPoints] = field(default_factory=dict, repr=False)

    def kept_in(self, store: SeriesStore) -> "Run":
        """The same run with its series in a store that bounds the memory of many runs.

        Raises:
            RecordError: if the store cannot take them.
        """
        scalars, vectors = (
            {key: store.kept(points) for key, points in series.items() if isinstance(points, Points)}
            for series in (self._scalars, self._vectors)
        )
        return replace(self, _scalars={**self._scalars, **scalars}, _vectors={**self._vectors, **vectors})

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
        points = self._points(key)
        return Series(points.steps, points.values.astype(np.float64))

    def steps(self, key: str) -> NDArray[np.int64]:
        """Steps ``(n,)`` of a scalar series, without its values.

        Raises:
            KeyError: if there is no such series.
        """
        return self._points(key).steps

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

    def _points(self, key: str) -> Points | StoredPoints:
        if key not in self._scalars:
            raise KeyError(_missing(key, self._scalars, self.path))
        return self._scalars[key]


def read_run(path: str | os.PathLike[str]) -> Run:
    """The run at ``path``: a run folder of any kind that `discovery` knows, or a log file.

    Raises:
        RecordError: if there is no run at ``path``, several, or one that cannot be read.
    """
    root = Path(path)
    if not root.exists():
        raise RecordError(f"{root} does not exist; give the folder of a run or a log file")
    if root.name == RECORD_DIR and (root / MANIFEST_FILE).is_file():
        root = root.parent
    found = discover(root)
    unread = unread_notes(found.unread, root)
    if len(found.runs) > 1:
        raise RecordError(f"{root} holds {len(found.runs)} runs; name one of them, or use read_sweep for all")
    if not found.runs:
        raise RecordError("; ".join([f"no run in {root}: {WHAT_IS_A_RUN}", *unread]))
    source = found.runs[0]
    return run_from(source, label=own_label(source), root=source.path, notes=unread)


def own_label(source: RunSource) -> str:
    """Name of a run that is read on its own: its own name, or the last part of its path that says something."""
    if source.name is not None:
        return source.name
    path = source.path.resolve()
    if path.is_file() and source.source in (Source.EVENTS, Source.TRAINER_STATE):
        path = path.parent
    parts = significant_parts(path, Path(path.anchor))
    return parts[-1] if parts else path.name


def run_from(
    source: RunSource,
    *,
    label: str,
    root: Path,
    notes: Sequence[str] = (),
    with_series: bool = True,
    layouts: Layouts | None = None,
) -> Run:
    """Read the run that was found at ``source``.

    Args:
        source: Where it is.
        label: Its name among its siblings.
        root: Topmost folder in which to look for what Hydra noted about it.
        notes: What is already to be said about it.
        with_series: False to read only what the run says about itself, which takes a millisecond.
        layouts: The layouts of events met in other runs so far, and then in this one.

    Raises:
        RecordError: if it cannot be read.
    """
    path = source.path
    manifest = None
    status = RunStatus.UNKNOWN
    incidents: tuple[Incident, ...] = ()
    said = list(notes)
    if source.source is Source.RECORD:
        manifest = read_manifest(path / RECORD_DIR / MANIFEST_FILE)
        status = status_of(manifest)
        incidents, torn_at = read_incidents(path / RECORD_DIR / INCIDENTS_FILE)
        if torn_at is not None:
            said.append(f"{INCIDENTS_FILE}: unfinished last line left out (byte {torn_at})")
    checkpoints, torn_at = _checkpoints_of(path) if with_series else (None, None)
    if torn_at is not None:
        said.append(f"{CHECKPOINTS_FILE}: unfinished last line left out (byte {torn_at})")
    log, settings = _log_of(source, layouts) if with_series else (ScalarLog({}), None)
    seed, group = (manifest.seed, manifest.group) if manifest else (None, None)
    overrides = overrides_of(path, root) or settings if seed is None or not group else None
    if seed is None and overrides is not None:
        seed = overrides.seed
    return Run(
        path=path,
        label=label,
        seed=label if seed is None else seed,
        manifest=manifest,
        status=status,
        notes=(*said, *log.notes),
        incidents=incidents,
        checkpoints=checkpoints,
        overrides=overrides,
        examples=read_examples(path / RECORD_DIR) if source.source is Source.RECORD else None,
        _scalars=log.scalars,
        _vectors=log.vectors if isinstance(log, EventLog) else {},
    )


def _checkpoints_of(path: Path) -> tuple[CheckpointLog | None, int | None]:
    """What is recorded beside the log of a run, whoever wrote the log; the CSVLogger's is one file of its folder."""
    record = (path.parent if path.name == "metrics.csv" else path) / RECORD_DIR
    return read_checkpoints(record) if (record / CHECKPOINTS_FILE).is_file() else (None, None)


def _log_of(source: RunSource, layouts: Layouts | None) -> tuple[EventLog | ScalarLog, Overrides | None]:
    """What a run logged, and the settings that its log knows."""
    path = source.path
    if source.exported is not None:
        return source.exported, None
    if source.source is Source.CSV:
        return read_csv_log(path), None
    if source.source is Source.JSONL:
        return read_jsonl_log(path), None
    if source.source is Source.MLFLOW:
        return read_mlflow_run(path)
    if source.source is Source.TRAINER_STATE:
        return read_trainer_state((newest_state(path) if path.is_dir() else None) or path)
    return read_event_log(source.event_files(), layouts), None


def status_of(manifest: Manifest) -> RunStatus:
    """How the run with this manifest stands; one without an end mark is running or has died."""
    if manifest.status is not None:
        return manifest.status
    if manifest.pid is not None:
        alive = is_alive(Process(manifest.hostname, manifest.pid, manifest.process_start))
        if alive is not None:
            return RunStatus.RUNNING if alive else RunStatus.DIED
    silent = manifest.heartbeat is None or time.time() - manifest.heartbeat > SILENCE_S
    return RunStatus.DIED if silent else RunStatus.RUNNING


def _missing(key: str, known: Collection[str], path: Path) -> str:
    near = difflib.get_close_matches(key, known, n=3, cutoff=0.4) or list(known)[:5]
    return f"{key!r} is not in {path}; " + (f"near names: {', '.join(near)}" if near else "it holds no series")


def _numbers(width: int) -> tuple[str, ...]:
    return tuple(str(number) for number in range(width))
