"""What a run says about itself: where it came from, how it was configured, how it ended."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any

from stabilimeter.records import strict_json
from stabilimeter.records.record_error import RecordError

RECORD_DIR = "stability"
"""Folder of a record inside its run folder."""
MANIFEST_FILE = "manifest.json"
SCHEMA = 1


class RunStatus(str, Enum):
    """How a run stands."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    """Ended early on purpose: early stopping, or the user's own stop."""
    CANCELLED = "cancelled"
    FAILED = "failed"
    """Ended by an exception."""
    DIVERGED = "diverged"
    DIED = "died"
    """No end mark, and nobody is working on it any more."""
    RUNNING = "running"
    UNKNOWN = "unknown"
    """A log that carries no mark of its end."""


@dataclass(frozen=True)
class SignalSpec:
    """What a signal is.

    Attributes:
        key: Name of the series.
        unit: Unit of the values; empty for a pure number.
        moment: When it is measured, relative to accumulation, unscaling and clipping.
        reduction: How ranks are combined.
        positive: Values are positive by nature, so that a log scale makes sense.
        names: Names of the elements of a vector signal, in order; empty for a scalar.
    """

    key: str
    unit: str
    moment: str
    reduction: str
    positive: bool
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class MonitorCost:
    """What monitoring took, in the last process that worked on the run.

    Attributes:
        seconds: Time in the monitor's hooks.
        share: Of the wall time from the beginning of training to its end.
        host_reads: Number of times values were read back from the device.
        bytes_written: Size of signals and incidents.
    """

    seconds: float
    share: float
    host_reads: int
    bytes_written: int


@dataclass(frozen=True)
class Session:
    """One earlier process that worked on the run before it was resumed.

    Attributes:
        heartbeat: Its last sign of life (seconds since the epoch).
        status: Its end mark; None if it never set one.
        last_step: Last step it reported, if it did.
        resumed: When the next process took over (seconds since the epoch).
        resumed_at: First step of that next process; what was recorded from there on is superseded.
    """

    heartbeat: float | None
    status: RunStatus | None
    last_step: int | None
    resumed: float
    resumed_at: int


@dataclass(frozen=True)
class Manifest:
    """The manifest of a run. ``RunWriter`` fills in process, times and end mark; everything else comes from the caller.

    Attributes:
        run_id: Name of the run, unique enough to tell two runs in one folder apart.
        seed: The seed; None if there was none.
        config: Resolved configuration, plain JSON values.
        group: Key that runs share which differ in the seed only; None puts the run in the group of its parent folder.
        git_commit: Commit of the user's repository.
        git_dirty: Whether that repository had uncommitted changes.
        packages: Package name to version.
        device: For example ``"cpu"`` or ``"cuda:A100"``.
        world_size: Number of ranks.
        planned_steps: Optimizer steps planned; None if unbounded.
        monitor: Name of the monitored metric.
        mode: ``"min"`` or ``"max"`` for ``monitor``.
        signals: What each recorded signal is.
        hostname: Host of the process that writes.
        pid: Its process id there.
        process_start: Start mark of that process, so that a reused pid is not taken for it; None where unknown.
        started: First start of the run (seconds since the epoch), earlier sessions included.
        heartbeat: Last sign of life (seconds since the epoch).
        sessions: Earlier processes that worked on this run, oldest first.
        status: End mark; None while the run goes on.
        reason: Why it ended so.
        last_step: Last optimizer step done.
        ended: Time of the end mark (seconds since the epoch).
        monitor_cost: What monitoring took, known at the end.
        schema: Version of this layout.
    """

    run_id: str = field(default_factory=lambda: secrets.token_hex(8))
    seed: int | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    group: str | None = None
    git_commit: str | None = None
    git_dirty: bool | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    device: str = ""
    world_size: int = 1
    planned_steps: int | None = None
    monitor: str | None = None
    mode: str | None = None
    signals: tuple[SignalSpec, ...] = ()
    hostname: str = ""
    pid: int | None = None
    process_start: str | None = None
    started: float | None = None
    heartbeat: float | None = None
    sessions: tuple[Session, ...] = ()
    status: RunStatus | None = None
    reason: str | None = None
    last_step: int | None = None
    ended: float | None = None
    monitor_cost: MonitorCost | None = None
    schema: int = SCHEMA

    def to_json(self) -> str:
        """The manifest as indented strict JSON."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        plain["signals"] = [_as_dict(spec) for spec in self.signals]
        plain["sessions"] = [_as_dict(session) for session in self.sessions]
        plain["monitor_cost"] = None if self.monitor_cost is None else _as_dict(self.monitor_cost)
        return strict_json.dumps({"schema": plain.pop("schema"), **plain}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> "Manifest":
        """The manifest in ``text``; fields that this version does not know are left out.

        Raises:
            ValueError: if the text is not a manifest, or its schema is newer than this version reads.
        """
        plain = strict_json.loads(text)
        if not isinstance(plain, dict) or not isinstance(plain.get("schema"), int):
            raise ValueError("not a manifest: no schema number")
        if plain["schema"] > SCHEMA:
            raise ValueError(f"schema {plain['schema']} is newer than {SCHEMA}; upgrade stabilimeter to read it")
        try:
            known = _known_fields(cls, plain)
            known["signals"] = tuple(
                replace(SignalSpec(**_known_fields(SignalSpec, spec)), names=tuple(spec.get("names", ())))
                for spec in plain.get("signals", ())
            )
            known["sessions"] = tuple(
                replace(Session(**_known_fields(Session, session)), status=_status(session.get("status")))
                for session in plain.get("sessions", ())
            )
            if known.get("monitor_cost") is not None:
                known["monitor_cost"] = MonitorCost(**_known_fields(MonitorCost, known["monitor_cost"]))
            return cls(**{**known, "status": _status(plain.get("status"))})
        except (TypeError, AttributeError) as error:
            raise ValueError(f"not a manifest: {error}") from error

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write to ``path`` atomically: a reader sees the old manifest or the new one, never half of it."""
        target = Path(path)
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        draft.write_text(self.to_json(), encoding="utf-8")
        draft.replace(target)


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """The manifest in the file at ``path``.

    Raises:
        RecordError: if it cannot be read or is not a manifest.
    """
    try:
        return Manifest.from_json(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise RecordError(f"cannot read the manifest {path}: {error}") from error


def _status(name: str | None) -> RunStatus | None:
    return None if name is None else RunStatus(name)


def _known_fields(kind: type[Any], plain: Mapping[str, Any]) -> dict[str, Any]:
    names = {item.name for item in fields(kind)}
    return {name: value for name, value in plain.items() if name in names}


def _as_dict(item: SignalSpec | Session | MonitorCost) -> dict[str, Any]:
    return {part.name: getattr(item, part.name) for part in fields(item)}
