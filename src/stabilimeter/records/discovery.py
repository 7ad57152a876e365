"""Where the runs in a folder are, and which logs in it are not read.

The rules, in this order; what lies beneath a run belongs to it:

1. A folder with our record (``stability/manifest.json``) is a run.
2. A folder with TensorBoard event files is a run; other logs beside them are not read.
3. A folder with ``trainer_state.json``, or with ``checkpoint-N`` folders that hold one, is a run of the Hugging Face
   Trainer; the state that got furthest is read, and event files beneath it are not.
4. A run folder of MLflow's file store is a run, unless it was deleted.
5. In any other folder each CSV or JSON-lines file with a step is a run. Exports of charts hold several runs each; the
   exports of one folder are read together, and each run they name is a run.

Where two loggers of one run wrote into folders of their own (``csv`` and ``tensorboard`` side by side), or one left CSV
and another JSON lines, one of them is read, in this order: event files, CSV, JSON lines. Hidden folders and our own
summaries are passed over, and so is a link to something inside the folder, which would count twice.

The name of a run is its folder or file, or the name that MLflow or W&B gave it. Parts of a path that every training
library puts there (``version_0``) are neither name nor group.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from stabilimeter.records.checkpoint_log import CHECKPOINTS_FILE
from stabilimeter.records.csv_table import csv_header
from stabilimeter.records.events.log import EVENT_FILE_MARK
from stabilimeter.records.exported_runs import export_kind, exported_runs, why_unreadable
from stabilimeter.records.incident_log import INCIDENTS_FILE
from stabilimeter.records.jsonl_log import jsonl_step_key
from stabilimeter.records.manifest import MANIFEST_FILE, RECORD_DIR
from stabilimeter.records.mlflow_store import is_mlflow_run, name_of_mlflow_run
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.run_source import RunSource, Source, Unread
from stabilimeter.records.step_name import step_name
from stabilimeter.records.trainer_state import CHECKPOINT_FOLDER, STATE_FILE, newest_state

OWN_LOGS = (CHECKPOINTS_FILE, INCIDENTS_FILE)
"""Files of a record that are no logs of steps, where a record is but a part of another tool's run."""
SUMMARY_DIR = "across_seeds"
"""Folder of our own summary output; never a run."""
_BOILERPLATE = re.compile(r"version_\d+|tensorboard|csv|checkpoint-\d+|lightning_logs|mlruns")
_BOILERPLATE_FILES = re.compile(r"metrics|progress|logs?|history|results|train(ing)?_log|trainer_state")
"""Names that training libraries give to every log; the folder tells such logs apart."""
_READABLE = " !#$&'()+,-.:;=@[]^_`{}~"


class Found(NamedTuple):
    """What a folder holds: runs in natural order, and logs that are not read."""

    runs: list[RunSource]
    unread: list[Unread]


def discover(root: Path) -> Found:
    """The runs at ``root`` and below, and the logs there that are not read.

    Args:
        root: A folder, or a file that is a log.

    Raises:
        RecordError: if a folder or an export cannot be read, or ``root`` is a file that is no log.
    """
    if root.is_file():
        return Found(list(_runs_in_file(root)), [])
    try:
        found = list(_logs_in(root, {root.resolve()}))
    except OSError as error:
        raise RecordError(f"cannot read the folder {error.filename}: {error.strerror}") from error
    runs = [item for item in found if isinstance(item, RunSource)]
    unread = [item for item in found if isinstance(item, Unread)]
    return Found(*_without_second_logs(runs, unread, root))


def find_runs(root: Path) -> list[RunSource]:
    """The runs at ``root`` and below, in natural order; see `discover`."""
    return discover(root).runs


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


def _runs_in_file(path: Path) -> Iterator[RunSource]:
    suffix = path.suffix.lower()
    if EVENT_FILE_MARK in path.name:
        yield RunSource(path, Source.EVENTS)
    elif path.name == STATE_FILE:
        yield RunSource(path, Source.TRAINER_STATE)
    elif suffix == ".jsonl":
        yield RunSource(path, Source.JSONL)
    elif suffix == ".csv":
        header = csv_header(path)
        if export_kind(header) is None:
            yield RunSource(path, Source.CSV)
            return
        reason = why_unreadable(header)
        if reason is not None:
            raise RecordError(f"{path} holds {reason}")
        yield from _exported([path], path)
    else:
        raise RecordError(
            f"{path} is no log: event files (*{EVENT_FILE_MARK}*), *.csv, *.jsonl and {STATE_FILE} can be read"
        )


def _logs_in(folder: Path, linked: set[Path]) -> Iterator[RunSource | Unread]:
    """The logs below ``folder``; ``linked`` are the folders that links may not lead into (again)."""
    if (folder / RECORD_DIR / MANIFEST_FILE).is_file():
        yield RunSource(folder, Source.RECORD)
        return
    entries = sorted(os.scandir(folder), key=lambda entry: natural_key(entry.name))
    if any(EVENT_FILE_MARK in entry.name and entry.is_file() for entry in entries):
        yield RunSource(folder, Source.EVENTS)
        yield from _beside(entries, "event files beside it are read")
        return
    if any(entry.name == STATE_FILE or CHECKPOINT_FOLDER.fullmatch(entry.name) for entry in entries) and (
        newest_state(folder) is not None
    ):
        yield RunSource(folder, Source.TRAINER_STATE)
        yield from _beside(entries, f"{STATE_FILE} beside it is read")
        yield from (Unread(path, f"{STATE_FILE} above it is read") for path in _first_events_below(folder))
        return
    if is_mlflow_run(folder):
        name = name_of_mlflow_run(folder)
        yield Unread(folder, "deleted in MLflow") if name is None else RunSource(folder, Source.MLFLOW, name)
        return
    exports = []
    for entry in entries:
        path = Path(entry.path)
        if entry.name.startswith(".") or entry.name == SUMMARY_DIR:
            continue
        if folder.name == RECORD_DIR and entry.name in OWN_LOGS:
            continue
        if entry.is_symlink():
            target = path.resolve()
            if any(target.is_relative_to(other) for other in linked):
                continue
            linked.add(target)
        if entry.is_dir():
            yield from _logs_in(path, linked)
        elif entry.is_file() and path.suffix.lower() == ".csv" and export_kind(csv_header(path)) is not None:
            exports.append(path)
        elif entry.is_file():
            yield from _log_file(path)
    readable = []
    for path in exports:
        reason = why_unreadable(csv_header(path))
        if reason is None:
            readable.append(path)
        else:
            yield Unread(path, reason)
    yield from _exported(readable, folder)


def _log_file(path: Path) -> Iterator[RunSource | Unread]:
    """The one run in a file that lies in a folder without a run of its own."""
    suffix = path.suffix.lower()
    if suffix == ".csv":
        header = csv_header(path)
        if step_name(header) is not None:
            yield RunSource(path, Source.CSV)
        else:
            yield Unread(path, "no step column" if header else "empty, or no text")
    elif suffix == ".jsonl":
        has_step = jsonl_step_key(path) is not None
        yield RunSource(path, Source.JSONL) if has_step else Unread(path, "no step in its lines")
    elif suffix == ".wandb":
        yield Unread(path, "W&B's own format; export the charts of its runs as CSV")
    elif path.name == "mlflow.db":
        yield Unread(path, "MLflow's database; download the charts of its runs as CSV")


def _beside(entries: list[os.DirEntry[str]], reason: str) -> Iterator[Unread]:
    """The logs in a folder that is already a run."""
    for entry in entries:
        if entry.is_file() and any(isinstance(log, RunSource) for log in _log_file(Path(entry.path))):
            yield Unread(Path(entry.path), reason)


def _first_events_below(folder: Path) -> list[Path]:
    """The folders below a Trainer's output folder that hold event files (``runs/<date>_<host>`` unless told else)."""
    return sorted({path.parent for path in folder.glob(f"runs/*/*{EVENT_FILE_MARK}*")})


def _exported(paths: list[Path], place: Path) -> Iterator[RunSource]:
    for run in exported_runs(paths) if paths else ():
        yield RunSource(place / quote(run.key, safe=_READABLE), Source.EXPORT, run.name, run.log)


def _without_second_logs(
    runs: list[RunSource], unread: list[Unread], root: Path
) -> tuple[list[RunSource], list[Unread]]:
    """Every run once, where several loggers wrote about it."""
    order = list(Source)
    best: dict[tuple[str, ...], Source] = {}
    parts = [significant_parts(run.path, root) for run in runs]
    for run, own in zip(runs, parts, strict=True):
        best[own] = min(best.get(own, run.source), run.source, key=order.index)
    kept = []
    for run, own in zip(runs, parts, strict=True):
        if run.source in (Source.CSV, Source.JSONL) and run.source is not best[own]:
            unread.append(Unread(run.path, f"the same run is read from its {best[own].value}"))
        else:
            kept.append(run)
    return kept, unread
