"""Runs in MLflow's file store: ``mlruns/<experiment>/<run>/`` with ``meta.yaml``, ``metrics/`` and ``params/``.

A file below ``metrics`` is named after its key (slashes are folders) and holds a line ``timestamp value step`` per
point; newer versions append the data set, the oldest left the step out, which MLflow reads as 0.
"""

from pathlib import Path
from typing import Any

from stabilimeter.records.overrides import Overrides, parameters
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.scalar_log import LoggedPoints, ScalarLog
from stabilimeter.records.step_name import whole_step

META_FILE = "meta.yaml"
METRICS_FOLDER = "metrics"
_RUN_NAME_TAG = Path("tags") / "mlflow.runName"


def is_mlflow_run(folder: Path) -> bool:
    """Whether ``folder`` is a run in a file store (an experiment has a ``meta.yaml`` too, but no metrics)."""
    return (folder / META_FILE).is_file() and (folder / METRICS_FOLDER).is_dir()


def name_of_mlflow_run(folder: Path) -> str | None:
    """The name of a run, or its id where it has none; None if the run was deleted.

    Raises:
        RecordError: if its ``meta.yaml`` cannot be read.
    """
    meta = _meta(folder)
    if meta.get("lifecycle_stage") == "deleted":
        return None
    tag = folder / _RUN_NAME_TAG
    return str(meta.get("run_name") or (_text(tag).strip() if tag.is_file() else "") or folder.name)


def read_mlflow_run(folder: Path) -> tuple[ScalarLog, Overrides | None]:
    """The metrics of the run in ``folder``, and its parameters if it has any.

    Raises:
        RecordError: if a file cannot be read; names the line.
    """
    points = LoggedPoints()
    notes: list[str] = []
    for path in sorted((folder / METRICS_FOLDER).rglob("*")):
        if path.is_file():
            _add_metric(points, path.relative_to(folder / METRICS_FOLDER).as_posix(), path, notes)
    params = folder / "params"
    settings = {
        path.relative_to(params).as_posix(): _text(path) for path in sorted(params.rglob("*")) if path.is_file()
    }
    return points.log(METRICS_FOLDER, notes), parameters(settings) if settings else None


def _add_metric(points: LoggedPoints, key: str, path: Path, notes: list[str]) -> None:
    lines = _text(path).splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        if not line.endswith("\n"):
            notes.append(f"{METRICS_FOLDER}/{key}: unfinished last line {number} left out")
            break
        parts = line.split()
        if not parts:
            continue
        step = whole_step(parts[2]) if len(parts) > 2 else 0
        try:
            value = float(parts[1])
        except (IndexError, ValueError):
            step = None
        if step is None:
            raise RecordError(f"{path}: line {number} is not 'timestamp value step': {line.strip()[:80]!r}")
        points.add(key, step, value)


def _meta(folder: Path) -> dict[str, Any]:
    import yaml

    try:
        meta = yaml.safe_load(_text(folder / META_FILE))
    except yaml.YAMLError as error:
        raise RecordError(f"cannot read {folder / META_FILE}: {' '.join(str(error).split())}") from error
    return meta if isinstance(meta, dict) else {}


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise RecordError(f"{path}: not a text file (byte {error.start})") from error
