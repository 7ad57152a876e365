"""Many values at once of a second signal, and what they add to the scores of the series that it accompanies.

Only the sums behind the correlation go value by value. Every number comes from the same operations in the same order
as in `companion.followed` and `setback.Support`: the state is the same to the last bit.
"""

from bisect import bisect_left
from collections.abc import Sequence
from math import inf, log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.detection.companion import KEPT, PRIOR, PRIOR_PAIRS, Companion
from stabilimeter.stats.detection.scored_stretch import Scored, scored
from stabilimeter.stats.detection.setback import COMPANION_RISE, MOST_SUPPORT, Setback

_Array = NDArray[np.float64]


class Accompanied(NamedTuple):
    """What a second signal says of a stretch of the series.

    Attributes:
        series: The stretch.
        past: The m values of the second signal, each among its own past.
        places: Index in the stretch of each of them, ascending.
        unsummed: How many of them come before both signals have a score.
        sums: The three sums of the companion before each of the others, and after the last; ``m - unsummed + 1`` each.
        scores: Those of the series, with what the second signal adds.
        supported: To which of them it could add.
    """

    series: Scored
    past: Scored
    places: list[int]
    unsummed: int
    sums: list[list[float]]
    scores: _Array
    supported: NDArray[np.bool_]

    def after(self, count: int) -> Companion:
        """The state after so many values of the stretch."""
        values = bisect_left(self.places, count)
        squares, other_squares, products = (sums[max(values - self.unsummed, 0)] for sums in self.sums)
        return Companion(self.past.after(values), squares, other_squares, products)


def accompanied(
    setback: Setback, values: Sequence[float], companion: Companion | None, beside: Sequence[float | None]
) -> Accompanied | None:
    """A stretch of the series and of the second signal; None if that has no value there.

    Args:
        setback: What is known of the series before, not alarmed.
        values: Its values, accepted and finite, shape ``(n,)``.
        companion: What is known of the second signal; None if there never was a value.
        beside: The second signal at each value, in its own unit, shape ``(n,)``; None where there is none.
    """
    sizes = np.array(beside, dtype=np.float64)  # None becomes NaN
    is_magnitude = (sizes > 0.0) & (sizes < inf)
    if not is_magnitude.any():
        return None
    companion = companion or Companion()
    places = np.flatnonzero(is_magnitude).tolist()
    logarithms = [log(size) for size in sizes[is_magnitude].tolist()]  # those of NumPy differ in the last bit
    series, past = scored((setback, values), (companion.past, logarithms))
    unsummed = max(past.unranked, bisect_left(places, series.unranked))
    at = np.array(places[unsummed:], dtype=np.intp) - series.unranked
    own, other = past.scores[unsummed - past.unranked :], series.scores[at]
    sums = _sums(companion, (own * own).tolist(), (other * other).tolist(), (own * other).tolist())
    scores, supported = series.scores.copy(), np.zeros(len(series.scores), dtype=bool)
    scores[at] = np.maximum(other, _together(other, own, _correlations(sums)[:-1]))
    supported[at] = True
    return Accompanied(series, past, places, unsummed, sums, scores, supported)


def _sums(
    companion: Companion, squares: list[float], other_squares: list[float], products: list[float]
) -> list[list[float]]:
    """The three sums before the first of these terms, and after each."""
    _, one, other, both = companion
    sums = [one], [other], [both]
    add_one, add_other, add_both = (found.append for found in sums)
    for square, other_square, product in zip(squares, other_squares, products, strict=True):
        add_one(one := KEPT * one + square)
        add_other(other := KEPT * other + other_square)
        add_both(both := KEPT * both + product)
    return list(sums)


def _correlations(sums: list[list[float]]) -> _Array:
    """`Companion.correlation` for each of these sums."""
    squares, other_squares, products = np.array(sums)
    widths = np.sqrt((squares + PRIOR_PAIRS) * (other_squares + PRIOR_PAIRS))
    return np.asarray(np.clip((products + PRIOR * PRIOR_PAIRS) / widths, 0.0, 1.0))


def _together(scores: _Array, support: _Array, correlations: _Array) -> _Array:
    """`Support.with_own` for scores of the series and of the second signal."""
    weights = np.maximum(COMPANION_RISE - correlations, 0.0) / (1.0 - COMPANION_RISE * correlations)
    together = (scores + weights * np.minimum(support, MOST_SUPPORT)) / np.sqrt(
        1.0 + weights * (weights + 2.0 * correlations)
    )
    return np.where(scores <= 0.0, scores, together)
