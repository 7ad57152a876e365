"""A series as the tab draws it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stabilimeter.records.run import Series
from stabilimeter.stats.decimation import extremes

MAX_MARKS = 200
SIGNIFICANT_DIGITS = 6


@dataclass(frozen=True)
class Polyline:
    """A series as it is drawn.

    Attributes:
        steps: Steps of the points.
        values: Their values; None is a gap.
        gaps: First steps of the stretches without a finite value, at most `MAX_MARKS` of them.
        gap_values: What stands there: ``"NaN"``, ``"Infinity"`` or ``"-Infinity"``.
    """

    steps: Sequence[float]
    values: list[float | None]
    gaps: Sequence[float]
    gap_values: list[str]


def polyline(series: Series, max_points: int) -> Polyline:
    """A series in at most about ``max_points`` points: of each stretch its smallest and its largest value.

    Points are never moved or averaged: a spike of one step among a million is drawn at its step with its value.
    Stretches with a non-finite value keep the first of them as a gap.
    """
    kept = extremes(series.values, max_points)
    finite = np.isfinite(series.values)
    starts = np.flatnonzero(~finite & np.append(True, finite[:-1]))[:MAX_MARKS]
    return Polyline(
        steps=series.steps[kept].tolist(),
        values=plain(series.values[kept]),
        gaps=series.steps[starts].tolist(),
        gap_values=[_name(value) for value in series.values[starts].tolist()],
    )


def plain(values: NDArray[np.float64]) -> list[float | None]:
    """Values with as many digits as a chart needs; None where not finite.

    >>> plain(np.array([1 / 3, -12345678.0, np.nan, 0.0]))
    [0.333333, -12345700.0, None, 0.0]
    """
    finite = np.isfinite(values) & (values != 0)
    exponents = np.floor(np.log10(np.abs(np.where(finite, values, 1.0))))
    digits = (SIGNIFICANT_DIGITS - 1 - exponents).astype(int)
    rounded = [round(value, at) for value, at in zip(values.tolist(), digits.tolist(), strict=True)]
    return [value if known else None for value, known in zip(rounded, np.isfinite(values).tolist(), strict=True)]


def _name(value: float) -> str:
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
