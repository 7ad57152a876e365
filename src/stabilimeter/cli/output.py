"""Where the results of a command go."""

import os
import sys
from pathlib import Path
from typing import TextIO

from stabilimeter.cli.usage import UsageError


def table_stream(json_target: str | None) -> TextIO:
    """Where the table goes: standard output, unless that is to be pure JSON."""
    return sys.stderr if json_target == "-" else sys.stdout


def check_output(target: str | Path | None) -> None:
    """Find out before the work whether its result can be written.

    Raises:
        UsageError: if it cannot.
    """
    if target is None or str(target) == "-":
        return
    path = Path(target)
    replaced = path.is_file() or not path.exists()  # a device or pipe is written to as it is
    if path.is_dir() or not os.access(path.parent if replaced else path, os.W_OK):
        raise UsageError(f"cannot write {path}: give a file in a folder that exists and can be written")


def write(target: str | Path | None, text: str) -> None:
    """Write the result to a file, or for ``-`` to standard output.

    Raises:
        UsageError: if that fails.
    """
    from stabilimeter.present.publish import write_text

    if target is None:
        return
    if str(target) == "-":
        sys.stdout.write(text)
        return
    try:
        write_text(Path(target), text)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}") from error
