"""The series of several seeds on the steps that they have in common."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Curve(Protocol):
    """The series of one seed. It may lie on disk and be read at each access."""

    @property
    def steps(self) -> NDArray[np.int64]:
        """Increasing, shape ``(n,)``."""

    @property
    def values(self) -> NDArray[np.float64]:
        """Values at these steps, shape ``(n,)``."""


@dataclass(frozen=True)
class Axis:
    """The steps on which several seeds are compared.

    Attributes:
        steps: Shape ``(num_steps,)``.
        exact: Whether all values belong to the very step; otherwise to the nearest one that the seed logged.
        complete: Whether every seed has logged just these steps.
    """

    steps: NDArray[np.int64]
    exact: bool
    complete: bool = False

    def values_of(self, curve: Curve) -> NDArray[np.float64]:
        """The values of a seed at these steps, shape ``(num_steps,)``; NaN where it has none."""
        if self.complete:
            return np.asarray(curve.values, dtype=np.float64)
        own = curve.steps
        return _at(self.steps, own, curve.values, 0.0 if self.exact else _half_interval(own))


@dataclass(frozen=True)
class OnAxis:
    """Several seeds on one axis, looked at by seed or by step, without all their values in memory at once."""

    axis: Axis
    curves: Sequence[Curve]

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of seeds and steps."""
        return len(self.curves), self.axis.steps.size

    def rows(self) -> Iterator[NDArray[np.float64]]:
        """The values of each seed, shape ``(num_steps,)``."""
        return (self.axis.values_of(curve) for curve in self.curves)

    def columns(self, start: int, stop: int) -> NDArray[np.float64]:
        """The values of all seeds at some of the steps, shape ``(num_seeds, stop - start)``."""
        found = np.empty((len(self.curves), stop - start))
        for k, row in enumerate(self.rows()):
            found[k] = row[start:stop]
        return found


@dataclass(frozen=True)
class Aligned:
    """Several series on one axis.

    Attributes:
        steps: Shape ``(num_steps,)``.
        values: Shape ``(num_seeds, num_steps)``; NaN where a seed has no value.
        exact: Whether all values belong to the very step; otherwise to the nearest one that the seed logged.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    exact: bool


def aligned(steps: Sequence[NDArray[np.int64]], values: Sequence[NDArray[np.float64]]) -> Aligned:
    """The series of several seeds on their `common_axis`.

    Args:
        steps: Steps of each seed, increasing, shape ``(n_i,)`` each.
        values: Values at these steps.

    >>> both = aligned([np.array([0, 10, 20]), np.array([0, 10])], [np.array([3.0, 2.0, 1.0]), np.array([5.0, 4.0])])
    >>> both.steps.tolist(), both.values.tolist(), both.exact
    ([0, 10, 20], [[3.0, 2.0, 1.0], [5.0, 4.0, nan]], True)
    """
    curves = [_Arrays(own, its) for own, its in zip(steps, values, strict=True)]
    axis = common_axis(curves)
    rows = list(OnAxis(axis, curves).rows())
    return Aligned(axis.steps, np.stack(rows) if rows else np.empty((0, 0)), axis.exact)


def common_axis(curves: Sequence[Curve]) -> Axis:
    """The steps on which to compare several seeds.

    A step belongs to the common axis if every seed whose record spans it has logged it; where a short seed has ended,
    the others go on. If most steps are not common (evaluations timed by a clock fall on other steps in every seed),
    the axis is that of the seed with the most points, and every other seed contributes the value nearest to a step,
    at most half its own usual distance away. Nothing is interpolated.
    """
    union = longest = curves[0].steps if curves else np.empty(0, dtype=np.int64)
    complete = True
    for curve in curves[1:]:
        own = curve.steps
        if own is not longest and not np.array_equal(own, longest):
            complete = False
            longest = own if own.size > longest.size else longest
            union = np.union1d(union, own)
    if complete:
        return Axis(union.astype(np.int64), True, complete=True)
    common, spanning = np.ones(union.size, dtype=bool), np.zeros(union.size, dtype=np.int64)
    for curve in curves:
        own = curve.steps
        if own.size:
            spanned = (union >= own[0]) & (union <= own[-1])
            spanning += spanned
            common &= np.isin(union, own) | ~spanned
    several = spanning >= 2
    if not several.any() or common[several].mean() >= 0.5:
        return Axis(union[common].astype(np.int64), True)
    return Axis(longest.astype(np.int64), False)


class _Arrays:
    """A `Curve` in memory."""

    def __init__(self, steps: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        self.steps = steps
        self.values = values


def _half_interval(steps: NDArray[np.int64]) -> float:
    return float(np.median(np.diff(steps))) / 2 if steps.size > 1 else 0.0


def _at(
    axis: NDArray[np.int64], steps: NDArray[np.int64], values: NDArray[np.float64], tolerance: float
) -> NDArray[np.float64]:
    """Value at the step nearest to each step of the axis, NaN where none is within the tolerance."""
    if steps.size == 0:
        return np.full(axis.size, math.nan)
    right = np.clip(np.searchsorted(steps, axis), 0, steps.size - 1)
    left = np.clip(right - 1, 0, steps.size - 1)
    nearest = np.where(np.abs(steps[left] - axis) <= np.abs(steps[right] - axis), left, right)
    return np.where(np.abs(steps[nearest] - axis) <= tolerance, values[nearest], np.nan)
