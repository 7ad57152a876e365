"""Digests of everything that takes part in a training step, so that two runs can be told apart to the bit.

One line of strict JSON per batch, readable by people and by ``diff``: the batch (-1 before the first), and digests by
name in the order in which things happen. A name starts with a word of `Kind`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from stabilimeter.records import strict_json
from stabilimeter.records.manifest import RECORD_DIR
from stabilimeter.records.record_error import RecordError

DIGESTS_FILE = "digests.jsonl"
BEFORE = -1
"""Number of the line that was written before the first batch."""


class Kind(str, Enum):
    """What a digest is of."""

    RANDOM_STATE = "random state"
    BATCH = "batch"
    LOSS = "loss"
    GRADIENT = "gradient"
    WEIGHT = "weight"
    BUFFER = "buffer"


@dataclass(frozen=True)
class BatchDigests:
    """All digests of one batch.

    Attributes:
        batch: Its number in the run, from 0 on; -1 for the state before the first.
        digests: By name, in the order in which things happen.
    """

    batch: int
    digests: Mapping[str, str]

    def to_line(self) -> str:
        """One line of the file."""
        return strict_json.dumps({"batch": self.batch, "digests": self.digests}) + "\n"


def kind_of(name: str) -> Kind:
    """What a digest is of, by its name.

    >>> kind_of("weight net.0.bias") is Kind.WEIGHT, kind_of("random state numpy") is Kind.RANDOM_STATE
    (True, True)
    """
    return next(kind for kind in Kind if name.startswith(kind.value))


def digests_path(run_folder: Path) -> Path:
    """The file of a run."""
    return run_folder / RECORD_DIR / DIGESTS_FILE


def read_digests(run_folder: Path) -> tuple[BatchDigests, ...]:
    """The digests of a run, in order.

    Raises:
        RecordError: if there are none, or they cannot be read.
    """
    path = digests_path(run_folder)
    try:
        found = [strict_json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return tuple(BatchDigests(line["batch"], line["digests"]) for line in found)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"cannot read the digests {path}: {error}") from error
