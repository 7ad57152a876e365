"""Writing the record of a run while it trains."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from stabilimeter.records.events import encoding
from stabilimeter.records.events.appender import EventAppender, append
from stabilimeter.records.incident_log import INCIDENTS_FILE, drop_incidents_from, incident_line, incident_text
from stabilimeter.records.manifest import (
    MANIFEST_FILE,
    RECORD_DIR,
    Manifest,
    MonitorCost,
    RunStatus,
    Session,
    read_manifest,
)
from stabilimeter.records.process import Process, is_alive, this_process
from stabilimeter.records.record_error import RecordError
from stabilimeter.stats.incident import Incident

HEARTBEAT_S = 2.0
"""The manifest is rewritten for a heartbeat at most this often."""
_INCIDENTS_TAG = "incidents"


class RunWriter:
    """Writes ``<run_dir>/stability/``: manifest, event file, incidents.

    What is written reaches the operating system at the next ``flush``; a kill at any moment loses at most what came
    after it. Each process writes an event file of its own. A resumed one starts it with a mark that everything
    recorded from ``resume_from_step`` on is superseded (TensorBoard's ``SessionLog.START``), so that neither our reader
    nor TensorBoard shows a step twice, and nothing already written is ever changed.

    Attributes:
        bytes_written: Size of all signals and incidents so far, those waiting for the next flush included.

    Args:
        run_dir: Folder of the run; made if it does not exist.
        manifest: What the run says about itself. Process, times and end mark are filled in here.
        resume_from_step: First step that this process will record; None for a run that starts from scratch, which
            supersedes any record that is already there.

    Raises:
        RecordError: if the folder cannot be written to, or another process that is alive writes to it.
    """

    def __init__(
        self, run_dir: str | os.PathLike[str], manifest: Manifest, *, resume_from_step: int | None = None
    ) -> None:
        if resume_from_step is not None and resume_from_step < 0:
            raise RecordError(f"resume_from_step must not be negative, got {resume_from_step}")
        self.path = Path(run_dir) / RECORD_DIR
        self.bytes_written = 0
        self._manifest_path = self.path / MANIFEST_FILE
        now = time.time()
        process = this_process()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            previous = read_manifest(self._manifest_path) if self._manifest_path.exists() else None
            if previous is not None:
                _refuse_if_in_use(previous, process, self.path)
            resumed = previous if resume_from_step is not None else None
            self.manifest = replace(
                manifest,
                run_id=resumed.run_id if resumed else manifest.run_id,
                hostname=process.hostname,
                pid=process.pid,
                process_start=process.start,
                started=resumed.started if resumed else now,
                heartbeat=now,
                sessions=_history(resumed, now, resume_from_step),
                status=None,
                reason=None,
                last_step=None,
                ended=None,
            )
            self._incidents_path = self.path / INCIDENTS_FILE
            is_first = previous is None and resume_from_step is None
            self._events = EventAppender(self.path, now, process, None if is_first else resume_from_step or 0)
            drop_incidents_from(self._incidents_path, resume_from_step or 0)
            self.manifest.write(self._manifest_path)
        except OSError as error:
            raise RecordError(
                f"cannot write the record to {self.path}: {error.strerror or error}; choose a writable folder"
            ) from error

    def write_block(
        self,
        keys: Sequence[str],
        steps: ArrayLike,
        values: ArrayLike,
        wall_times: ArrayLike,
        logged: ArrayLike | None = None,
    ) -> None:
        """Record a block of steps.

        Args:
            keys: ``k`` names.
            steps: ``(n,)`` optimizer steps, not negative.
            values: ``(n, k)``; NaN and infinity are values. Stored as float32, finite values beyond that as float64.
            wall_times: ``(n,)`` seconds since the epoch.
            logged: ``(n, k)``, False where nothing was logged; None if everything was.

        Raises:
            ValueError: if the shapes disagree or a step is negative.
        """
        step_array = np.asarray(steps, np.int64)
        value_array = np.asarray(values, np.float64)
        times = np.asarray(wall_times, np.float64)
        mask = None if logged is None else np.asarray(logged, bool)
        shape = (len(step_array), len(keys))
        if value_array.shape != shape or times.shape != shape[:1] or (mask is not None and mask.shape != shape):
            raise ValueError(
                f"{shape[0]} steps and {shape[1]} keys need values {shape}, wall_times {shape[:1]} and logged {shape}; "
                f"got {value_array.shape}, {times.shape} and {None if mask is None else mask.shape}"
            )
        if len(set(keys)) != len(keys):
            raise ValueError(f"each key once, got {sorted(keys)}")
        if step_array.min(initial=0) < 0:
            raise ValueError(f"steps must not be negative, got {step_array.min()}")
        if step_array.size and keys:
            self._write(encoding.scalar_block(keys, step_array, value_array, times, mask))

    def write_scalars(self, step: int, values: Mapping[str, float], wall_time: float | None = None) -> None:
        """Record ``values`` at one step, in one event (``wall_time`` in seconds since the epoch; None for now)."""
        now = time.time() if wall_time is None else wall_time
        self.write_block(list(values), [step], [list(values.values())], [now])

    def write_vector(self, key: str, step: int, values: ArrayLike, wall_time: float | None = None) -> None:
        """Record a vector ``(k,)`` at one step; its elements are named by the signal's spec in the manifest."""
        now = time.time() if wall_time is None else wall_time
        vector = np.asarray(values, np.float64)
        if vector.ndim != 1 or step < 0:
            raise ValueError(f"a vector of shape (k,) and a step >= 0 are needed, got {vector.shape} and {step}")
        self._write(encoding.summary_event(now, step, encoding.vector_value(key, vector)))

    def write_text(self, key: str, step: int, text: str, wall_time: float | None = None) -> None:
        """Record a Markdown text at one step, for TensorBoard's text dashboard."""
        now = time.time() if wall_time is None else wall_time
        self._write(encoding.summary_event(now, step, encoding.text_value(key, text)))

    def write_incident(self, incident: Incident) -> None:
        """Record an incident, at once: in ``incidents.jsonl`` and as text for TensorBoard."""
        self.write_text(_INCIDENTS_TAG, incident.step, incident_text(incident))
        self._events.flush()
        line = incident_line(incident).encode()
        append(self._incidents_path, line)
        self.bytes_written += len(line)

    def flush(self) -> None:
        """Hand everything written so far to the operating system, and give a sign of life.

        Raises:
            OSError: if the disk is full, for example; nothing is lost then, the next flush tries again.
        """
        self._events.flush()
        self.heartbeat()

    def heartbeat(self) -> None:
        """Say in the manifest that the process is alive; cheap enough to be called from any hook.

        Long phases without a flush (validation, a slow checkpoint) should call it: on other hosts a run without a
        heartbeat for 60 s counts as dead.
        """
        now = time.time()
        if self.manifest.status is None and now - (self.manifest.heartbeat or 0.0) >= HEARTBEAT_S:
            self.manifest = replace(self.manifest, heartbeat=now)
            self.manifest.write(self._manifest_path)

    def close(
        self,
        status: RunStatus,
        reason: str | None = None,
        last_step: int | None = None,
        monitor_cost: MonitorCost | None = None,
    ) -> None:
        """Flush and set the end mark; only the first call counts.

        Args:
            status: How the run ended.
            reason: Why, in a sentence.
            last_step: Last optimizer step done.
            monitor_cost: What monitoring took.
        """
        if self.manifest.status is not None:
            return
        if status in (RunStatus.RUNNING, RunStatus.DIED, RunStatus.UNKNOWN):
            raise ValueError(f"a run cannot end as {status.value!r}")
        self._events.flush()
        now = time.time()
        self.manifest = replace(
            self.manifest,
            status=status,
            reason=reason,
            last_step=last_step,
            monitor_cost=monitor_cost,
            heartbeat=now,
            ended=now,
        )
        self.manifest.write(self._manifest_path)

    def _write(self, frames: bytes) -> None:
        if self.manifest.status is not None:
            raise RecordError(f"the record in {self.path} is closed; nothing can be added to it")
        self._events.add(frames)
        self.bytes_written += len(frames)


def _refuse_if_in_use(previous: Manifest, process: Process, path: Path) -> None:
    if previous.status is not None or previous.pid is None:
        return
    owner = Process(previous.hostname, previous.pid, previous.process_start)
    if owner != process and is_alive(owner):
        raise RecordError(f"process {owner.pid} is writing to {path}; stop it, or choose another folder")


def _history(resumed: Manifest | None, now: float, resumed_at: int | None) -> tuple[Session, ...]:
    if resumed is None or resumed_at is None:
        return ()
    return (
        *resumed.sessions,
        Session(
            heartbeat=resumed.heartbeat,
            status=resumed.status,
            last_step=resumed.last_step,
            resumed=now,
            resumed_at=resumed_at,
        ),
    )
