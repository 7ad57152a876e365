"""One run as JSON lines: an object per line, one of whose keys is the step."""

import json
import os
from pathlib import Path
from typing import Any

from stabilimeter.records.json_points import JsonPoints, flat_object
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.scalar_log import ScalarLog
from stabilimeter.records.step_name import STEP_NAMES, step_name

_HEAD_BYTES = 1 << 16
"""The step is looked for in the lines that begin in this much of the file."""


def jsonl_step_key(path: str | os.PathLike[str]) -> str | None:
    """The key of the step in the first lines of the file; None if there is none or the file cannot be read."""
    try:
        with Path(path).open("rb") as file:
            head = file.readlines(_HEAD_BYTES)
    except OSError:
        return None
    names: dict[str, None] = {}
    for line in head:
        try:
            names.update(dict.fromkeys(_object(line)))
        except ValueError:
            continue  # the reader says where
    return step_name(names)


def read_jsonl_log(path: str | os.PathLike[str]) -> ScalarLog:
    """The numbers in the log at ``path``, each key with the steps at which it was logged.

    An unfinished last line, as a killed writer leaves it, is left out and noted.

    Raises:
        RecordError: if the file cannot be read, has no step, or a line is no JSON object; names the byte.
    """
    path = Path(path)
    key_of_step = jsonl_step_key(path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror or error}") from error
    notes = []
    with file:
        if key_of_step is None:
            raise RecordError(f"{path}: no line has a step; one of the keys {', '.join(STEP_NAMES)} is needed")
        points = JsonPoints(path, key_of_step)
        at = 0
        for line in file:
            try:
                points.add(_object(line), f"the line at byte {at}")
            except RecordError:
                raise
            except ValueError as error:
                if not line.endswith(b"\n"):
                    notes.append(f"{path.name}: unfinished last line left out (byte {at})")
                    break
                raise RecordError(f"{path}: the line at byte {at} cannot be read ({error})") from error
            at += len(line)
    return points.log(notes)


def _object(line: bytes) -> dict[str, Any]:
    """The object in a line, without nesting; empty for an empty line.

    Raises:
        ValueError: if the line holds anything else.
    """
    text = line.decode("utf-8-sig").strip()
    try:
        return flat_object(json.loads(text)) if text else {}
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
