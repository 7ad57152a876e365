"""Files to which one JSON object per line is added, by a process that may die at any moment."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from stabilimeter.records import strict_json
from stabilimeter.records.record_error import RecordError

Line = TypeVar("Line")


def parsed_lines(path: Path, parse: Callable[[Any], Line], what: str) -> tuple[list[Line], int | None]:
    """What the complete lines of a file hold, and the byte offset of an unfinished last line (None if there is none).

    Args:
        path: The file; one that does not exist holds nothing.
        parse: Makes something of the value of a line; a ValueError, TypeError or KeyError says that it cannot.
        what: What a line should be, for the error.

    Raises:
        RecordError: if a line is not what it should be; names the byte offset.
    """
    found: list[Line] = []
    at = 0
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
        if not line.endswith(b"\n"):
            return found, at
        try:
            found.append(parse(strict_json.loads(line)))
        except (ValueError, TypeError, KeyError) as error:
            raise RecordError(f"{path}: the line at byte {at} is not {what} ({error})") from error
        at += len(line)
    return found, None


def replaced(path: Path, lines: Iterable[str]) -> None:
    """Give a file other content, atomically."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text("".join(lines), encoding="utf-8")
    draft.replace(path)
