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
        self._steps: dict[str, list[int]] = {}
        self._values: dict[str, list[float]] = {}

    def add(self, key: str, step: int, value: float) -> None:
        """The next point of ``key``."""
        self._steps.setdefault(key, []).append(step)
        self._values.setdefault(key, []).append(value)

    def log(self, name: str, notes: Iterable[str] = ()) -> ScalarLog:
        """Everything that was added, by step.

        Args:
            name: What was read, for the note about points that were logged again.
            notes: What else is to be said about it.
        """
        scalars = {}
        replaced = 0
        for key in sorted(self._steps):
            steps, values = np.array(self._steps[key], np.int64), np.array(self._values[key], np.float64)
            scalars[key], again = points_in_order(steps, values)
            replaced += again
        said = [f"{name}: {replaced_note(replaced)}"] if replaced else []
        return ScalarLog(scalars, (*said, *notes))
