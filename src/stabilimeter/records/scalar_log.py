"""What a log that holds scalars only says, whatever its format."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from stabilimeter.records.points import Points, points_in_order, replaced_note


@dataclass(frozen=True, eq=False)
class ScalarLog:
    """What a log holds; the notes say what was left out."""

    scalars: Mapping[str, Points]
    notes: tuple[str, ...] = ()


class LoggedPoints:
    """Points by key, in the order in which they were logged."""

    def __init__(self) -> None:
        self._columns: dict[str, tuple[list[int], list[float]]] = {}

    def add(self, key: str, step: int, value: float) -> None:
        """The next point of ``key``."""
        column = self._columns.get(key)
        if column is None:
            column = self._columns[key] = ([], [])
        column[0].append(step)
        column[1].append(value)

    def log(self, name: str, notes: Iterable[str] = ()) -> ScalarLog:
        """Everything that was added, by step.

        Args:
            name: What was read, for the note about points that were logged again.
            notes: What else is to be said about it.
        """
        scalars = {}
        replaced = 0
        for key, (steps, values) in sorted(self._columns.items()):
            scalars[key], again = points_in_order(np.array(steps, np.int64), np.array(values, np.float64))
            replaced += again
        said = [f"{name}: {replaced_note(replaced)}"] if replaced else []
        return ScalarLog(scalars, (*said, *notes))
