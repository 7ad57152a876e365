"""A summary that follows a sweep while it trains."""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from stabilimeter.analysis.primary import UnknownMetricError
from stabilimeter.analysis.summarize import summarize
from stabilimeter.analysis.summary import Summary
from stabilimeter.present.publish import SUMMARY_FILE
from stabilimeter.present.terminal import render
from stabilimeter.present.wording import count, printable
from stabilimeter.records.discovery import SUMMARY_DIR
from stabilimeter.records.manifest import RunStatus
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.sweep import Sweep, read_sweep

QUIET_S = 30.0
"""A sweep is over when all its runs have ended and nothing was written for so long: the next run may be starting."""
MAX_TROUBLES = 5

_UNDECIDED = (RunStatus.RUNNING, RunStatus.UNKNOWN)


@dataclass(frozen=True)
class Look:
    """What one look at a sweep found.

    Attributes:
        sweep: What could be read; None if nothing could.
        summary: Its summary; None if there is nothing to summarise yet.
        troubles: Sentences about what could not be read this time, and why.
    """

    sweep: Sweep | None
    summary: Summary | None
    troubles: tuple[str, ...] = ()


class Screen(Protocol):
    """Where a watched summary is shown."""

    def show(self, content: RenderableType, status: str) -> None:
        """Show ``content`` in place of what was shown before; ``status`` says what the watch is doing."""

    def close(self) -> None:
        """Leave the last content where the reader will find it."""


def look_at(
    folder: Path,
    *,
    group_by: Literal["config", "parent"] = "config",
    metric: str | None = None,
    mode: str | None = None,
    target: float | None = None,
) -> Look:
    """Read and summarise what is there now; nothing that a running sweep leaves on disk is an error."""
    troubles: list[str] = []

    def unreadable(path: Path, error: Exception) -> None:
        troubles.append(f"{_below(path, folder)} could not be read this time: {error}")

    try:
        sweep = read_sweep(folder, group_by=group_by, on_unreadable=unreadable)
        if not sweep.groups:
            return Look(None, None, tuple(troubles))
        summary = summarize(sweep, rng=np.random.default_rng(0), metric=metric, mode=mode, target=target)
    except UnknownMetricError as error:
        return Look(sweep, None, (*troubles, str(error)))
    except (RecordError, OSError) as error:
        return Look(None, None, (*troubles, str(error)))
    return Look(sweep, summary, tuple(troubles))


def watch(
    folder: Path,
    look: Callable[[], Look],
    screen: Screen,
    refresh: Callable[[Sweep, Summary], Path | None],
    pause_s: float,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> str | None:
    """Show the summary of a sweep anew whenever it changes, until all runs have ended or Ctrl-C.

    A log without an end mark never counts as ended.

    Args:
        folder: The sweep; it may be empty, or not there yet.
        look: Reads it.
        screen: Where to show it.
        refresh: Called when a run has started or ended; writes files and returns where bands for TensorBoard are.
        pause_s: Seconds between looks; at least as long as a look takes, so that half of a core stays free.
        sleep: Waits for some seconds.

    Returns:
        Why there is no summary although all runs have ended; None if there is one, and after Ctrl-C.
    """
    seen: dict[str, tuple[int, int]] | None = None
    shown = found = Look(None, None)
    standing: dict[Path, RunStatus] = {}
    bands: Path | None = None
    try:
        while True:
            start = time.monotonic()
            traces = _traces(folder)
            if traces != seen or _n_running(found):
                seen, found = traces, look()
                if found.sweep is not None and found.summary is not None:
                    shown = found
                    now_standing = _standing(found.sweep)
                    if now_standing != standing:
                        standing, bands = now_standing, refresh(found.sweep, found.summary)
            screen.show(_content(shown, found, folder, bands), _status(found, folder, pause_s))
            if _is_over(found, traces):
                return None if found.summary is not None else "; ".join(found.troubles)
            sleep(max(pause_s, time.monotonic() - start))
    except KeyboardInterrupt:
        return None
    finally:
        screen.close()


def _content(shown: Look, found: Look, folder: Path, bands: Path | None) -> RenderableType:
    """The last summary there was, under what could not be read this time."""
    troubles = [printable(" ".join(trouble.split())) for trouble in found.troubles]
    if len(troubles) > MAX_TROUBLES:
        troubles = [*troubles[:MAX_TROUBLES], f"and {len(troubles) - MAX_TROUBLES} more"]
    if shown.summary is None:
        waiting = Text(f"waiting for runs in {printable(str(folder))}", style="yellow")
        return Group(waiting, *(Text(trouble, style="dim") for trouble in troubles))
    return Group(*(Text(trouble, style="yellow") for trouble in troubles), render(shown.summary, folder, bands))


def _status(found: Look, folder: Path, pause_s: float) -> str:
    parts = [f"watching {printable(str(folder))}, every {pause_s:g} s", time.strftime("last look %H:%M:%S")]
    if found.sweep is not None:
        statuses = list(_standing(found.sweep).values())
        undecided = sum(status in _UNDECIDED for status in statuses)
        parts.append(f"{count(len(statuses) - undecided, 'run')} ended, {undecided} not")
    return f"{'; '.join(parts)}. Ctrl-C ends the watch and prints all."


def _standing(sweep: Sweep) -> dict[Path, RunStatus]:
    return {run.path: run.status for group in sweep.groups for run in group.runs}


def _n_running(found: Look) -> int:
    statuses = [] if found.sweep is None else _standing(found.sweep).values()
    return sum(status is RunStatus.RUNNING for status in statuses)


def _is_over(found: Look, traces: dict[str, tuple[int, int]]) -> bool:
    if found.sweep is None or any(status in _UNDECIDED for status in _standing(found.sweep).values()):
        return False
    newest = max((changed for _, changed in traces.values()), default=-math.inf)
    return time.time() - newest / 1e9 >= QUIET_S


def _traces(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change (ns) of every file of the sweep, our own output apart; folders with zeros."""
    if folder.is_file():
        return {str(folder): (folder.stat().st_size, folder.stat().st_mtime_ns)}
    traces = {}
    for place, folders, files in os.walk(folder):
        traces[place] = (0, 0)
        folders[:] = [name for name in folders if name != SUMMARY_DIR and not name.startswith(".")]
        for name in files:
            if name == SUMMARY_FILE or name.startswith("."):
                continue
            path = Path(place, name)
            try:
                state = path.stat()
            except OSError:  # gone since it was listed
                continue
            traces[str(path)] = (state.st_size, state.st_mtime_ns)
    return traces


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) and path != folder else str(path)
