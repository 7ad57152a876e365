"""Several event files, one run.

Files count in the order in which they were started. Then:

- A mark ``SessionLog.START`` at step ``s`` supersedes what was recorded before it from step ``s`` on. Our writer sets
  it at each resume, and so does ``SummaryWriter(purge_step=s)``. A mark at step 0 starts a new run.
- A file without such a mark that starts where an earlier one did, or before, is another run in the same folder. One
  that starts later continues the earlier one and supersedes it from there on. What counts is the majority of the tags
  that both log after step 0; files that share none belong together.
- Of several runs in a folder only the newest is read, and the notes say so. A file with nothing after step 0 (header
  only, or hyper-parameters) is no run of its own.
- Where a tag has a step more than once, what was written last counts.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stabilimeter.records.events.decoding import EventFile, Track, read_event_file
from stabilimeter.records.events.layouts import Layouts
from stabilimeter.records.points import Points, points_in_order, replaced_note
from stabilimeter.records.record_error import RecordError

EVENT_FILE_MARK = "tfevents"


@dataclass(frozen=True, eq=False)
class EventLog:
    """What the event files of one run hold; the notes say what was left out."""

    scalars: Mapping[str, Points]
    vectors: Mapping[str, Points]
    notes: tuple[str, ...] = field(default=())


class _Mark(NamedTuple):
    """What was recorded before place ``order`` of file number ``file``, from ``step`` on, is superseded."""

    file: int
    order: int
    step: int


def read_event_log(paths: Sequence[Path], layouts: Layouts | None = None) -> EventLog:
    """The run that the event files at ``paths``, all of one folder, hold.

    Args:
        paths: The files.
        layouts: The layouts of events met in other runs so far, and then in this one.

    Raises:
        RecordError: if a file cannot be read or is corrupt.
    """
    layouts = layouts or Layouts()
    return event_log([read_event_file(path, layouts) for path in sorted(paths, key=started)])


def event_log(files: Sequence[EventFile]) -> EventLog:
    """The run that ``files``, all of one folder and in the order in which they were started, hold.

    Raises:
        RecordError: if a vector changes its length.
    """
    notes: list[str] = []
    for file in files:
        if file.torn_at is not None:
            rest = file.size - file.torn_at
            notes.append(f"{file.path.name}: unfinished last event left out (byte {file.torn_at}, {rest} bytes)")
    if not any(file.session_starts for file in files):
        files = [file for file in files if _first_steps(file)] or files
    run, marks = _newest_run(files, notes)
    name = str(run[0].path.parent) if run else ""
    scalars, replaced = _joined([file.scalars for file in run], marks, name)
    vectors, _ = _joined([file.vectors for file in run], marks, name)
    if replaced:
        notes.append(replaced_note(replaced))
    return EventLog(scalars, vectors, tuple(notes))


def started(path: Path) -> tuple[int, str]:
    """When an event file was started, as its name says: what files are sorted by."""
    stamp = re.search(r"tfevents\.(\d+)", path.name)
    return int(stamp[1]) if stamp else 0, path.name


def _first_steps(file: EventFile) -> dict[str, int]:
    """First step of each tag that is logged after step 0."""
    return {tag: lowest for tag, (lowest, highest) in file.ends.items() if highest > 0}


def _newest_run(files: Sequence[EventFile], notes: list[str]) -> tuple[list[EventFile], list[_Mark]]:
    """The files of the newest run, and where they supersede each other."""
    runs: list[tuple[list[EventFile], list[_Mark]]] = []
    earlier: dict[str, int] = {}
    for file in files:
        first = _first_steps(file)
        shared = [tag for tag in first if tag in earlier]
        later = [first[tag] for tag in shared if first[tag] > earlier[tag]]
        unmarked = not shared or 2 * len(later) > len(shared)
        continues = file.session_starts[0][1] > 0 if file.session_starts else unmarked
        if not runs or not continues:
            runs.append(([], []))
            earlier = {}
        run, marks = runs[-1]
        if file.session_starts:
            marks += [_Mark(len(run), order, step) for order, step in file.session_starts]
        elif later and run:
            marks.append(_Mark(len(run), -1, min(later)))
        run.append(file)
        for tag, step in first.items():
            earlier[tag] = min(step, earlier.get(tag, step))
    if len(runs) > 1:
        left_out = ", ".join(_described(run) for run, _ in runs[:-1])
        notes.append(
            f"{len(runs)} runs in one folder: the newest is read ({_described(runs[-1][0])}); left out: {left_out}"
        )
    return runs[-1] if runs else ([], [])


def _described(run: list[EventFile]) -> str:
    ends = [file.ends[tag] for file in run for tag in file.scalars]
    steps = f"steps {min(low for low, _ in ends)} to {max(high for _, high in ends)}" if ends else "no scalars"
    return f"{run[0].path.name}{f' and {len(run) - 1} more' if len(run) > 1 else ''}, {steps}"


def _joined(files: list[dict[str, Track]], marks: list[_Mark], name: str) -> tuple[dict[str, Points], int]:
    """One series per tag, and how many points were replaced by another value at their step."""
    parts: dict[str, list[tuple[int, Track]]] = {}
    for number, tracks in enumerate(files):
        for tag, track in tracks.items():
            parts.setdefault(tag, []).append((number, track))
    joined: dict[str, Points] = {}
    replaced = 0
    for tag in sorted(parts):
        kept = [_kept(number, track, marks) for number, track in parts[tag]]
        if len({track.values.shape[1:] for track in kept}) > 1:
            raise RecordError(f"{name}: vector {tag!r} changes its length; record it under two names")
        if len(kept) == 1:
            points, again = points_in_order(kept[0].steps, kept[0].values)
        else:
            steps = np.concatenate([track.steps for track in kept])
            points, again = points_in_order(steps, np.concatenate([track.values for track in kept]))
        replaced += again
        if len(points.steps):
            joined[tag] = points
    return joined, replaced


def _kept(number: int, track: Track, marks: list[_Mark]) -> Track:
    """The points of ``track``, from file ``number``, that no mark supersedes."""
    superseded = np.zeros(len(track.steps), bool)
    for mark in marks:
        if number < mark.file:
            superseded |= track.steps >= mark.step
        elif number == mark.file:
            superseded |= (track.order < mark.order) & (track.steps >= mark.step)
    if not superseded.any():
        return track
    return Track(track.order[~superseded], track.steps[~superseded], track.values[~superseded])
