"""Who writes a record, and whether that process is still there."""

import os
import socket
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """A process on a host.

    Attributes:
        hostname: The host.
        pid: Its id there.
        start: Start time in clock ticks since boot, which tells it from a later process with the same id; None where
            the system does not say (anything but Linux).
    """

    hostname: str
    pid: int
    start: str | None


def this_process() -> Process:
    """The process that asks."""
    return Process(socket.gethostname(), os.getpid(), _start_of(os.getpid()))


def is_alive(process: Process) -> bool | None:
    """Whether ``process`` still runs; None if that cannot be told from here (another host, or no way to ask)."""
    if process.hostname != socket.gethostname() or os.name != "posix":
        return None
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it exists and belongs to someone else
    return process.start is None or _start_of(process.pid) == process.start


def _start_of(pid: int) -> str | None:
    """Start time of a process; None if unknown, or if it is only waiting for its parent to collect it."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    after_name = status.rpartition(")")[2].split()
    return None if after_name[0] in "ZX" else after_name[19]
