"""How much the learning rate matters: what is lost, on average, by not knowing the best one."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.intervals import Interval, jackknife_t_on_logit

TOLERANCE = 0.05
"""A learning rate is as good as the best one if it loses at most this share of what training gains. A convention, the
same 5 % that earn half marks in the stability score."""

MIN_SEEDS = 3


@dataclass(frozen=True)
class StableRegion:
    """The learning rates around the best one at which training works.

    Attributes:
        low: Lower edge, interpolated on the log scale between the last good learning rate and the first bad one.
        high: Upper edge.
        decades: Width, ``log10(high / low)``; a lower bound if an edge is open.
        ci: Its 95 % interval over seeds; None for fewer than 3 seeds or with an open edge.
        open_below: The lowest learning rate tried is still good: the region may go on.
        open_above: The highest one is.
    """

    low: float
    high: float
    decades: float
    ci: Interval | None
    open_below: bool
    open_above: bool


@dataclass(frozen=True)
class LrSensitivity:
    """What a sweep of learning rates says.

    Attributes:
        value: The sensitivity, in the unit of the loss.
        ci: Its 95 % interval over seeds; None for fewer than 3 seeds.
        share: The same as a share of what training gains, ``value / (initial - best_loss)``: 0 if every learning rate
            is as good as the best one, 1 if all others gain nothing.
        best_lr: Learning rate with the lowest mean loss.
        best_loss: That loss.
        initial: Mean loss before training.
        stable: Where training works.
    """

    value: float
    ci: Interval | None
    share: float
    best_lr: float
    best_loss: float
    initial: float
    stable: StableRegion


def capped(losses: NDArray[np.float64], initial: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """No run is worse than not training: losses above ``initial``, NaN and infinite ones count as ``initial``.

    Args:
        losses: Any shape.
        initial: Losses before training, of a shape that broadcasts to that.

    >>> capped(np.array([1.0, 7.0, np.nan, np.inf]), 5.0)
    array([1., 5., 5., 5.])
    """
    losses = np.asarray(losses, dtype=np.float64)
    return np.where(np.isfinite(losses), np.minimum(losses, initial), initial)


def lr_sensitivity(
    lrs: NDArray[np.float64],
    losses: NDArray[np.float64],
    initial: NDArray[np.float64] | float,
    *,
    failed: NDArray[np.bool_] | None = None,
    tolerance: float = TOLERANCE,
    level: float = 0.95,
) -> LrSensitivity:
    """Expected loss above the best one when the learning rate is log-uniform over the range tried.

    ``E_{lr in [a, b]}[min(loss(lr), initial) - min over lr of loss]``, Wortsman et al. 2023 (Small-scale proxies for
    large-scale Transformer training instabilities), section 2.2. The loss is the mean over seeds of the capped losses;
    the expectation is the trapezoidal rule on ``log lr``, so that the grid need not be regular. It depends on the range
    ``[a, b]``: only numbers from the same range compare. Intervals are delete-one jackknife-t over seeds.

    Args:
        lrs: Learning rates, positive, ascending, shape ``(num_lrs,)``, two or more.
        losses: Final losses, lower is better, shape ``(num_seeds, num_lrs)``; NaN or infinite where a run failed.
        initial: The loss before training, of each seed, shape ``(num_seeds,)``, or of all; on average above the best
            mean loss.
        failed: Which runs failed, shape ``(num_seeds, num_lrs)``; a learning rate with a failed run is not stable,
            however low the loss. Default: those whose loss is not finite.
        tolerance: Share of ``initial - best`` that a stable learning rate may lose, in (0, 1).
        level: Confidence level, in (0, 1).

    Raises:
        ValueError: if an argument is not as described.

    >>> result = lr_sensitivity(np.array([0.01, 0.1, 1.0]), np.array([[2.0, 1.0, np.nan]]), 3.0)
    >>> result.value, result.best_lr  # (1/2 * 1 + 0 + 1/2 * 2) / 2 intervals
    (0.75, 0.1)
    """
    lrs, losses = np.asarray(lrs, dtype=np.float64), np.asarray(losses, dtype=np.float64)
    if lrs.ndim != 1 or lrs.size < 2 or not np.all(lrs > 0) or not np.all(np.diff(lrs) > 0):
        raise ValueError(f"lr_sensitivity needs two or more positive learning rates, ascending, got {lrs.tolist()}")
    if losses.ndim != 2 or losses.shape[1] != lrs.size or not losses.shape[0]:
        raise ValueError(f"losses must have shape (num_seeds, {lrs.size}), got {losses.shape}")
    lost: NDArray[np.bool_] = ~np.isfinite(losses) if failed is None else np.asarray(failed, dtype=np.bool_)
    start = np.broadcast_to(np.asarray(initial, dtype=np.float64), losses.shape[:1])
    scores, positions = capped(losses, start[:, None]), np.log10(lrs)
    mean = scores.mean(axis=0)
    best = int(mean.argmin())
    gain = float(start.mean() - mean[best])
    if not gain > 0:
        raise ValueError(f"no learning rate improves on the loss before training, {start.mean():g}")
    reach = float(positions[-1] - positions[0])

    def excess(seeds: NDArray[np.int64]) -> float:
        own = scores[seeds].mean(axis=0) - scores[seeds].mean(axis=0).min()
        return float(np.diff(positions) @ (own[1:] + own[:-1])) / 2 / reach / gain

    def width(seeds: NDArray[np.int64]) -> float:
        low, high = _edges(
            positions,
            scores[seeds].mean(axis=0),
            np.asarray(lost[seeds].any(axis=0)),
            float(start[seeds].mean()),
            tolerance,
        )
        return (high - low) / reach

    everyone = np.arange(losses.shape[0])
    low, high = _edges(positions, mean, np.asarray(lost.any(axis=0)), float(start.mean()), tolerance)
    open_below, open_above = bool(low == positions[0]), bool(high == positions[-1])
    enough = everyone.size >= MIN_SEEDS
    share = excess(everyone)
    ci = jackknife_t_on_logit(excess, everyone.size, level)[1] if enough and share > 0 else None
    of_width = None
    if enough and high > low and not (open_below or open_above):
        of_width = jackknife_t_on_logit(width, everyone.size, level)[1]
    return LrSensitivity(
        value=share * gain,
        ci=None if ci is None else (ci[0] * gain, ci[1] * gain),
        share=share,
        best_lr=float(lrs[best]),
        best_loss=float(mean[best]),
        initial=float(start.mean()),
        stable=StableRegion(
            low=10**low,
            high=10**high,
            decades=high - low,
            ci=None if of_width is None else (of_width[0] * reach, of_width[1] * reach),
            open_below=open_below,
            open_above=open_above,
        ),
    )


def _edges(
    positions: NDArray[np.float64],
    mean: NDArray[np.float64],
    failed: NDArray[np.bool_],
    initial: float,
    tolerance: float,
) -> tuple[float, float]:
    """Log10 of both ends of the good learning rates around the best one that has no failed run."""
    usable = np.where(failed, math.inf, mean)
    best = int(usable.argmin())
    if not math.isfinite(usable[best]):
        return float(positions[mean.argmin()]), float(positions[mean.argmin()])
    limit = float(mean.min()) + tolerance * (initial - float(mean.min()))
    good = usable <= limit
    good[best] = True
    ends = []
    for step in (-1, 1):
        last = best
        while 0 <= last + step < good.size and good[last + step]:
            last += step
        ends.append(_crossing(positions, mean, last, last + step, limit))
    return ends[0], ends[1]


def _crossing(
    positions: NDArray[np.float64], mean: NDArray[np.float64], last: int, following: int, limit: float
) -> float:
    """Where the mean loss reaches the limit between the last good learning rate and the one that follows."""
    if not 0 <= following < mean.size or mean[following] <= limit:
        return float(positions[last])  # the end of the grid, or a failed run at a low mean loss
    share = (limit - mean[last]) / (mean[following] - mean[last])
    return float(positions[last] + max(0.0, share) * (positions[following] - positions[last]))
