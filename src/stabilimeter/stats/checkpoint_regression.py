"""How far evaluations fall back behind the best that came before them."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.noise import noise_sd

MIN_EVALUATIONS = 5
TAIL_SHARE = 0.05
NOISE_SD_EXPLAINED = 2.0
REGRESSION_SIGMAS = 3.0
MIN_COUNTED_SHARE = 0.01
"""Of D; a curve without noise would otherwise count every rounding error."""


@dataclass(frozen=True)
class Regression:
    """What the evaluations of one run gave back, in units of the yardstick D.

    Attributes:
        tail: Mean of the worst 5 % of the shortfalls, less what two standard deviations of noise explain; at least 0.
        final: Last value minus the best level; at least 0.
        count: Evaluations behind the best level by more than 3 standard deviations of noise and 1 % of D.
    """

    tail: float
    final: float
    count: int


def upper_cvar(values: NDArray[np.float64], share: float = TAIL_SHARE) -> float:
    """Mean of the largest ``share`` of the values, the value on the boundary counted in part.

    The maximum where ``share * n <= 1``, that is below 20 values for 5 %. Rockafellar and Uryasev 2002; used for the
    drawdown of learning curves by Chan et al. 2020 (there the lower tail by mistake, which is 0 on a rising curve).

    Args:
        values: Finite values, shape ``(n,)``, n > 0.
        share: Share of the values in the tail, in (0, 1].

    >>> upper_cvar(np.arange(30.0))  # (29 + 0.5 * 28) / 1.5
    28.666...
    >>> upper_cvar(np.array([1.0, 7.0, 3.0]))
    7.0
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))[::-1]
    if ordered.size == 0:
        raise ValueError("upper_cvar needs at least one value")
    if not 0 < share <= 1:
        raise ValueError(f"share must be in (0, 1], got {share!r}")
    size = max(1.0, share * ordered.size)
    whole = min(ordered.size, math.floor(size + 1e-9))
    rest = max(0.0, size - whole) if whole < ordered.size else 0.0
    boundary = rest * float(ordered[whole]) if rest > 0 else 0.0
    return (float(ordered[:whole].sum()) + boundary) / (whole + rest)


def median_of_3(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of each value and the two before it; the first value stands in for those before the start.

    >>> median_of_3(np.array([5.0, 4.0, 1.0, 3.0, 2.0]))
    array([5., 5., 4., 3., 2.])
    """
    values = np.asarray(values, dtype=np.float64)
    padded = np.concatenate([values[:1], values[:1], values])
    return np.asarray(np.median(np.stack([padded[2:], padded[1:-1], padded[:-2]]), axis=0))


def best_so_far(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Running best (smallest) of `median_of_3`: one lucky evaluation does not set the mark.

    >>> best_so_far(np.array([5.0, 4.0, 1.0, 3.0, 2.0, 6.0, 6.0]))
    array([5., 5., 4., 3., 2., 2., 2.])
    """
    return np.asarray(np.minimum.accumulate(median_of_3(values)))


def checkpoint_regression(values: NDArray[np.float64], scale: float) -> Regression | None:
    """Shortfall of the evaluations of one run behind the running best.

    Args:
        values: Evaluations in order of steps, oriented so that lower is better, shape ``(n,)``; non-finite ones are
            left out (they are incidents of their own).
        scale: Yardstick D of the metric, positive.

    Returns:
        The shortfalls in units of D; None for fewer than 5 finite evaluations.

    >>> evaluations = np.array([12.0, 5.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 7.0, 2.0, 2.0, 2.0, 2.0, 2.0])
    >>> checkpoint_regression(evaluations, scale=10.0)
    Regression(tail=0.5, final=0.0, count=1)
    """
    values = np.asarray(values, dtype=np.float64)
    values = values[np.isfinite(values)]
    if values.size < MIN_EVALUATIONS:
        return None
    noise = noise_sd(values)
    shortfall = values - best_so_far(values)
    return Regression(
        tail=max(0.0, upper_cvar(shortfall) - NOISE_SD_EXPLAINED * noise) / scale,
        final=max(0.0, float(shortfall[-1])) / scale,
        count=int(np.sum(shortfall > max(REGRESSION_SIGMAS * noise, MIN_COUNTED_SHARE * scale))),
    )


def drawdown(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each evaluation is behind the best so far: ``v_t - min over u <= t of v_u``.

    The last one is the regret of the final checkpoint, the largest one the maximum drawdown. Chan et al. 2020, section
    3 (there of the running maximum of returns).

    Args:
        values: Evaluations in order of steps, oriented so that lower is better, shape ``(n,)``. A non-finite one is
            infinitely far behind, and never the best.

    >>> drawdown(np.array([5.0, 3.0, 4.0, 2.0, np.nan, 2.5]))
    array([0. , 0. , 1. , 0. , inf, 0.5])
    """
    values = np.asarray(values, dtype=np.float64)
    finite = np.where(np.isfinite(values), values, np.inf)
    best = np.minimum.accumulate(finite)
    return np.where(np.isfinite(values), finite - np.where(np.isfinite(best), best, 0.0), np.inf)
