"""What to say about logs that are not read."""

from collections.abc import Sequence
from pathlib import Path

from stabilimeter.records.run_source import Unread

MAX_LISTED = 3


def unread_notes(unread: Sequence[Unread], root: Path) -> list[str]:
    """A sentence for each reason, with the first few files that it holds for.

    Args:
        unread: The logs that are not read.
        root: The folder that was asked for; files are named relative to it.
    """
    by_reason: dict[str, list[str]] = {}
    for item in unread:
        by_reason.setdefault(item.reason, []).append(item.path.relative_to(root).as_posix())
    notes = []
    for reason, names in by_reason.items():
        more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
        notes.append(f"not read ({reason}): {', '.join(names[:MAX_LISTED])}{more}")
    return notes
