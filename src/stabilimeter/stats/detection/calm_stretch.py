"""Many ordinary values at once.

Nearly all values of a log are ordinary. Suppose that the next ones all are: then each of them enters the window, and
what the window forecasts at each follows from sorted sliding windows, without a state in between. The first value for
which that is wrong ends the stretch and is left for ``detection.step``. Every number comes from the same operations in
the same order as there (`window.forecast`, `window.accepted`, `tail.learnt`), so the state is the same to the last bit.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import inf, log, nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.detection import slow_worsening, tail
from stabilimeter.stats.detection.episode import Rule
from stabilimeter.stats.detection.ranked_rows import middles_and_scales, sliding
from stabilimeter.stats.detection.state import State
from stabilimeter.stats.detection.window import (
    CAPACITY,
    FLOAT32_ROUNDING,
    LEVEL_SPAN,
    TINY,
    YOUNG,
    Track,
    Window,
    capacity,
)

CALM_BEFORE_LEARNING = 32
"""Values accepted since the last episode before residuals say something about the shape of the noise."""

_SHORTEST, _LONGEST = 256, 512  # what is computed beyond the end of a stretch is lost
_FEWEST = 6  # fewer values are faster one by one

_certain_reach = lru_cache(tail.certain_reach)
_Array = NDArray[np.float64]


def passed(
    state: State,
    steps: Sequence[int],
    values: Sequence[float],
    start: int,
    *,
    rarest: float,
    beside: Sequence[float | None] | None = None,
) -> tuple[State, int]:
    """The state after the ordinary values from index ``start`` on, and the index of the first that is left.

    Args:
        state: The state before them.
        steps: Step of each value, shape (n,).
        values: The series in its own unit, shape (n,).
        start: Index of the next value, in 0..n.
        rarest: A value whose chance is smaller than this is not ordinary.
        beside: A second signal at each value, in its own unit, shape (n,); None where there is none.

    Returns:
        The same as ``detection.step``, value by value. The index is n if all were ordinary; it is ``start`` if an
        incident is open, the series is too young, or the values are few.
    """
    if state.episode is not None or state.window.seen < YOUNG or len(values) - start < _FEWEST:
        return state, start
    length, end = _SHORTEST, start
    while start == end < len(values):
        end = min(start + length, len(values))
        others = None if beside is None else beside[start:end]
        state, count = _stretch(state, steps[start:end], values[start:end], rarest, others)
        start += count
        length = min(2 * length, _LONGEST)
    return state, start


def _stretch(
    state: State, steps: Sequence[int], values: Sequence[float], rarest: float, beside: Sequence[float | None] | None
) -> tuple[State, int]:
    """The state after the ordinary ones of the first values, and their number."""
    rule, window = state.rule, state.window
    y = _judged(rule, values)
    if not len(y):
        return state, 0
    supposed = _supposed(window, y)
    with np.errstate(over="ignore", invalid="ignore"):
        u = (y - supposed.centres) / supposed.scales
    tails = 1
    if rule.mode == "both":
        u, tails = np.abs(u), 2
    untaught = max(CALM_BEFORE_LEARNING - 1 - state.calm, 0)
    count, weights = len(y), state.weights
    known = 0
    for at in np.flatnonzero(~(u <= _certain_reach(rarest / tails))).tolist():
        weights, known = _learnt(rule, weights, u[max(known, untaught) : at]), at
        if not tail.chance_above(rule.shapes, weights, float(u[at]), int(supposed.counts[at])) * tails >= rarest:
            count = at
            break
    slow, companion = state.slow, state.companion
    if rule.improving:
        others = None if beside is None else beside[:count]
        orderly, slow, companion = slow_worsening.passed(
            rule, slow, companion, steps[:count], y[:count].tolist(), supposed.scales, others
        )
        if orderly < count:
            count, weights, known = orderly, state.weights, 0
    if count == 0:
        return state, 0
    weights = _learnt(rule, weights, u[max(known, untaught) : count])
    window = _window_after(window, supposed, count)
    return State(rule, window, weights, None, False, state.calm + count, slow, companion), count


def _judged(rule: Rule, values: Sequence[float]) -> _Array:
    """The values as the rule sees them (`episode.judged`), up to the first that is no ordinary number."""
    if rule.log_scale:
        values = [log(max(value, TINY)) if value > 0.0 else nan for value in values]
    y = np.array(values)
    finite = np.isfinite(y)
    if not finite.all():
        y = y[: int(np.argmin(finite))]
    return -y if rule.mode == "max" else y


class _Supposed(NamedTuple):
    """What is expected of each of n values if all before it are ordinary.

    Attributes:
        values: The values of the window, then the n values.
        middles: Local level before each value, shape (n,).
        centres: Expected value of each, shape (n,).
        scales: Robust standard deviation around it, shape (n,).
        counts: Number of residuals that this rests on, and of those left after the last value; length n + 1.
        residuals: Against the last value and against the local level: those of the window, then those of the values.
    """

    values: _Array
    middles: _Array
    centres: _Array
    scales: _Array
    counts: NDArray[np.intp]
    residuals: _Array


def _supposed(window: Window, y: _Array) -> _Supposed:
    n, known = len(y), len(window.last.residuals)
    values = np.array((*window.values, *y.tolist()))
    last_five = np.sort(sliding(values[:-1], LEVEL_SPAN, 1, n), axis=1)
    expected = np.empty((2, n))
    expected[0], expected[1] = values[LEVEL_SPAN - 1 : -1], last_five[:, LEVEL_SPAN // 2]
    residuals = np.empty((2, known + n))
    residuals[0, :known], residuals[1, :known] = window.last.residuals, window.level.residuals
    np.subtract(y, expected, out=residuals[:, known:])
    counts = _counts(window, n)
    magnitudes = np.abs(values[LEVEL_SPAN - 1 : -1])
    magnitudes[0] = window.magnitude
    roundings = np.maximum(FLOAT32_ROUNDING * np.maximum.accumulate(magnitudes), TINY)
    centres, scales = _middles_and_scales(residuals, counts, roundings)
    centres += expected
    wandering = scales[0] <= scales[1]
    centre, scale = np.where(wandering, centres[0], centres[1]), np.where(wandering, scales[0], scales[1])
    return _Supposed(values, expected[1], centre, scale, counts, residuals)


def _counts(window: Window, n: int) -> NDArray[np.intp]:
    """Number of residuals kept before each of the next ``n`` values, and after the last."""
    counts = np.full(n + 1, len(window.last.residuals))
    if counts[0] < CAPACITY:
        for i in range(n):
            counts[i + 1] = counts[i] + (counts[i] < capacity(window.seen + 1 + i))
    return counts


def _middles_and_scales(residuals: _Array, counts: NDArray[np.intp], roundings: _Array) -> tuple[_Array, _Array]:
    """`window.middle_and_scale` before each value, for either way of forecasting, each of shape (2, n).

    The residuals kept before each value, and infinity where there are fewer than in the end, are sorted in rows.
    """
    n, most, counts = len(roundings), int(counts[-1]), counts[:-1]
    windows = sliding(residuals, most, 1, n, after=1)
    if counts[0] < most:
        windows = np.where(np.arange(most) >= most - counts[:, None], windows, inf)
    same = int(counts[0]) if counts[0] == counts[-1] else counts
    return middles_and_scales(np.sort(windows, axis=2), same, roundings)


def _learnt(rule: Rule, weights: tail.Weights, residuals: _Array) -> tail.Weights:
    shapes = rule.shapes
    for u in residuals[(residuals > 0.0) & (residuals < tail.BODY)].tolist():
        weights = tail.learnt(shapes, weights, u)
    return weights


def _window_after(window: Window, supposed: _Supposed, count: int) -> Window:
    """The window after the first ``count`` of the values."""
    start, known = len(window.values), len(window.last.residuals)
    kept = supposed.residuals[:, : known + count][:, -supposed.counts[count] :]
    last, level = kept.tolist()
    ranked_last, ranked_level = np.sort(kept, axis=1).tolist()
    return Window(
        tuple(supposed.values[: start + count][-LEVEL_SPAN:].tolist()),
        Track(tuple(last), tuple(ranked_last)),
        Track(tuple(level), tuple(ranked_level)),
        window.seen + count,
        max(window.magnitude, float(np.abs(supposed.values[start : start + count]).max())),
        window.first,
        min(window.best, float(supposed.middles[:count].min())),
        max(window.roughest, float(supposed.residuals[0, known : known + count].max())),
    )
