"""Long series with few points that lose no spike and no gap."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stabilimeter.records.run import Series

MAX_MARKS = 200
SIGNIFICANT_DIGITS = 6


@dataclass(frozen=True)
class Curve:
    """A series as it is drawn.

    Attributes:
        steps: Steps of the points.
        values: Their values; None is a gap.
        gaps: First steps of the stretches without a finite value, at most `MAX_MARKS` of them.
        gap_values: What stands there: ``"NaN"``, ``"Infinity"`` or ``"-Infinity"``.
    """

    steps: list[int]
    values: list[float | None]
    gaps: list[int]
    gap_values: list[str]


def curve(series: Series, max_points: int) -> Curve:
    """A series in at most about ``max_points`` points: of each stretch its smallest and its largest value.

    Points are never moved or averaged: a spike of one step among a million is drawn at its step with its value.
    Stretches with a non-finite value keep the first of them as a gap.
    """
    kept = extremes(series.values, max_points)
    finite = np.isfinite(series.values)
    starts = np.flatnonzero(~finite & np.append(True, finite[:-1]))[:MAX_MARKS]
    return Curve(
        steps=series.steps[kept].tolist(),
        values=plain(series.values[kept]),
        gaps=series.steps[starts].tolist(),
        gap_values=[_name(value) for value in series.values[starts].tolist()],
    )


def extremes(values: NDArray[np.float64], max_points: int) -> NDArray[np.intp]:
    """Indices of the first and last value, and the smallest, largest and first non-finite one of each stretch.

    >>> extremes(np.array([0.0, 5.0, 1.0, 1.0, 1.0, 1.0, -9.0, 1.0]), 4).tolist()
    [0, 1, 4, 6, 7]
    """
    n = values.size
    if n <= max_points:
        return np.arange(n)
    width = -(-n // max(1, max_points // 2))
    padding = -n % width
    padded = np.append(values, np.full(padding, np.nan)).reshape(-1, width)
    finite = np.isfinite(padded)
    is_broken = ~finite
    is_broken.reshape(-1)[n:] = False
    starts = np.arange(padded.shape[0]) * width
    some, broken = finite.any(axis=1), is_broken.any(axis=1)
    smallest = starts + np.where(finite, padded, np.inf).argmin(axis=1)
    largest = starts + np.where(finite, padded, -np.inf).argmax(axis=1)
    first_broken = starts + is_broken.argmax(axis=1)
    return np.unique(np.concatenate([[0, n - 1], smallest[some], largest[some], first_broken[broken]]))


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
