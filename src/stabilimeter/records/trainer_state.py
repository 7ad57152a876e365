"""The log of a Hugging Face Trainer: ``log_history`` in ``trainer_state.json``.

The file lies in every ``checkpoint-N`` folder, and in the output folder itself where the script called ``save_state``.
Each holds the history from the first step on, so the one that got furthest is the run and the others are earlier states
of it. Entries hold ``loss``, ``grad_norm`` and ``learning_rate``, or ``eval_*``, and the optimizer steps done until
then. The entry that closes a training (``train_runtime``...) holds totals and means of the whole run, no points of
series; it is left out.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stabilimeter.records.json_points import JsonPoints, flat_object
from stabilimeter.records.overrides import Overrides, parameters
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.scalar_log import ScalarLog
from stabilimeter.records.step_name import whole_step

STATE_FILE = "trainer_state.json"
CHECKPOINT_FOLDER = re.compile(r"checkpoint-(\d+)")
_CLOSING_KEY = "train_runtime"


def newest_state(folder: Path) -> Path | None:
    """The trainer state of the run in ``folder`` that got furthest; None if there is none.

    Raises:
        RecordError: if one of two candidates cannot be read.
    """
    own = folder / STATE_FILE
    saved = [
        (int(match[1]), path / STATE_FILE)
        for path in folder.iterdir()
        if (match := CHECKPOINT_FOLDER.fullmatch(path.name)) and (path / STATE_FILE).is_file()
    ]
    if not saved:
        return own if own.is_file() else None
    step, newest = max(saved)
    return own if own.is_file() and _steps_done(own) >= step else newest


def read_trainer_state(path: Path) -> tuple[ScalarLog, Overrides | None]:
    """The history in the trainer state at ``path``, and the hyper-parameters of the trial if it is part of a search.

    Raises:
        RecordError: if the file is no trainer state; names the entry.
    """
    state = _state(path)
    points = JsonPoints(path, "step")
    for number, entry in enumerate(state["log_history"]):
        place = f"entry {number} of log_history"
        try:
            flat = flat_object(entry)
        except ValueError as error:
            raise RecordError(f"{path}: {place}: {error}") from error
        if _CLOSING_KEY not in flat:
            points.add(flat, place)
    trial = state.get("trial_params")
    return points.log(), parameters(trial) if isinstance(trial, Mapping) and trial else None


def _steps_done(path: Path) -> int:
    return whole_step(_state(path).get("global_step")) or 0


def _state(path: Path) -> dict[str, Any]:
    try:
        state = json.loads(path.read_bytes())
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path} is not a trainer state ({error})") from error
    if not isinstance(state, dict) or not isinstance(state.get("log_history"), list):
        raise RecordError(f"{path} is not a trainer state: it has no list 'log_history'")
    return state
