"""The points of one tag."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Points:
    """The points of one tag; the arrays are read-only.

    Attributes:
        steps: ``(n,)`` int64, strictly increasing.
        values: ``(n,)``, or ``(n, k)`` for a vector; of the type on disk.
    """

    steps: NDArray[np.int64]
    values: NDArray[Any]


def points_in_order(steps: NDArray[np.int64], values: NDArray[Any]) -> tuple[Points, int]:
    """Points sorted by step; where a step occurs more than once, what was logged last counts.

    Args:
        steps: ``(n,)`` in the order in which they were logged.
        values: ``(n,)`` or ``(n, k)``.

    Returns:
        The points, and how many were replaced by another value.
    """
    replaced = 0
    if (steps[1:] <= steps[:-1]).any():
        order = np.argsort(steps, kind="stable")
        steps, values = steps[order], values[order]
        again = np.append(steps[1:] == steps[:-1], False)
        old, new = values[again], values[np.flatnonzero(again) + 1]
        same = (old == new) | (np.isnan(old) & np.isnan(new))
        replaced = int((~same.all(axis=tuple(range(1, same.ndim)))).sum())
        steps, values = steps[~again], values[~again]
    steps.flags.writeable = values.flags.writeable = False
    return Points(steps, values), replaced


def replaced_note(replaced: int) -> str:
    """What a reader says about points that were replaced."""
    return f"points logged again at their step with another value: {replaced}; what was logged last counts"
