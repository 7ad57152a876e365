"""What a summary leaves in the folder of its sweep."""

import os
from dataclasses import dataclass
from pathlib import Path

from stabilimeter.analysis.summary import Summary
from stabilimeter.present.tensorboard import write_summary_runs
from stabilimeter.records import strict_json

SUMMARY_FILE = "summary.json"


@dataclass(frozen=True)
class Published:
    """What was written: the JSON summary, and the folder of the summary runs for TensorBoard."""

    summary_file: Path
    summary_runs: Path


def publish(summary: Summary, sweep_dir: Path) -> Published:
    """Write ``summary.json`` and the summary runs into the folder of a sweep, in place of earlier ones.

    Raises:
        OSError: if the folder cannot be written.
    """
    summary_file = sweep_dir / SUMMARY_FILE
    write_text(summary_file, summary_json(summary))
    return Published(summary_file, write_summary_runs(summary, sweep_dir))


def summary_json(summary: Summary) -> str:
    """The text of ``summary.json``."""
    return strict_json.dumps(summary.to_dict(), indent=1) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a file in one step: a reader sees the old text or the new one, never a part.

    Something that is not a plain file, such as ``/dev/stdout``, is written to as it is.
    """
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(path)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise
