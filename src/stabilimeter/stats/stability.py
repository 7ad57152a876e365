"""The stability score of a group of seeds, its interval, and where the points went."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.intervals import Interval, jackknife_t_on_logit, mover_product, wilson_interval
from stabilimeter.stats.seeds import unbiased_sd

MIN_SURVIVORS = 3
"""Fewer non-failed seeds than this give no interval."""

WITHIN = ("spikes", "noise", "regression")
COMPONENTS = ("failures", *WITHIN, "seed_spread")
"""Where points can be lost."""


def _refuse_unless_positive(owner: str, numbers: Mapping[str, object]) -> None:
    for name, value in numbers.items():
        if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
            raise ValueError(f"{owner}.{name} must be a positive number, got {value!r}")


@dataclass(frozen=True)
class Weights:
    """How much each trouble counts in the score, relative to the others. Conventions, like `HalfPoints`."""

    spikes: float = 1.0
    noise: float = 1.0
    regression: float = 1.0
    seed_spread: float = 1.0

    def __post_init__(self) -> None:
        _refuse_unless_positive("Weights", vars(self))

    @property
    def within(self) -> float:
        """Share of what is measured in each seed by itself."""
        own = self.spikes + self.noise + self.regression
        return own / (own + self.seed_spread)


@dataclass(frozen=True)
class HalfPoints:
    """How much of each trouble earns half marks. Conventions: print them with a score, and say which version.

    Attributes:
        spikes: Loss spikes per step. OLMo 2 reports 0.40 % before and 0.03 % after it was made stable.
        noise: Noise of the training loss, share of the yardstick D.
        regression: Checkpoint regression, share of D.
        seed_spread: Standard deviation over seeds of the final value, share of D.
        weights: How much each counts.
        version: Of the defaults of all these numbers.
    """

    spikes: float = 0.001
    noise: float = 0.05
    regression: float = 0.10
    seed_spread: float = 0.05
    weights: Weights = Weights()
    version: int = 1

    def __post_init__(self) -> None:
        numbers = {name: value for name, value in vars(self).items() if name != "weights"}
        _refuse_unless_positive("HalfPoints", numbers)

    @property
    def changes(self) -> tuple[str, ...]:
        """What differs from the conventions of this version, in words; a score by other conventions has to say so."""
        usual = HalfPoints()
        numbers = [
            (f"half marks for {name}", getattr(self, name), getattr(usual, name)) for name in (*WITHIN, "seed_spread")
        ] + [
            (f"weight of {item.name}", getattr(self.weights, item.name), getattr(usual.weights, item.name))
            for item in fields(self.weights)
        ]
        return tuple(f"{what} {own:g} instead of {normal:g}" for what, own, normal in numbers if own != normal)


@dataclass(frozen=True)
class Troubles:
    """What one seed shows of each trouble, in the units of `HalfPoints`; None where it could not be measured."""

    spikes: float | None
    noise: float | None
    regression: float | None

    def measured(self) -> dict[str, float]:
        """Those that were measured, by name."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class StabilityScore:
    """The score of a group and what it is made of; see `stability_score`.

    Attributes:
        score: 0 to 100; None if undefined.
        low: Lower limit, failures nobody has seen yet included; None if there is no interval.
        high: Upper limit.
        given_completion: Interval of the score given that a seed completes.
        failure_rate: Share of failed seeds.
        failure_ci: Its Wilson interval.
        points_lost: Points lost to each component; sums to ``100 - score``.
        not_measured: Components that could not be measured for all survivors; what is missing is left out.
        reason: Why there is no score, or no interval.
    """

    score: float | None
    low: float | None
    high: float | None
    given_completion: Interval | None
    failure_rate: float
    failure_ci: Interval
    points_lost: Mapping[str, float]
    not_measured: tuple[str, ...]
    reason: str | None


def credit(trouble: float, half_point: float) -> float:
    """Marks for one trouble: ``1 / (1 + trouble / half_point)``, in (0, 1].

    >>> credit(0.0, 0.05), credit(0.05, 0.05), credit(3.0, 1.0)
    (1.0, 0.5, 0.25)
    """
    return 1 / (1 + trouble / half_point)


def quality(troubles: Troubles, half_points: HalfPoints = HalfPoints()) -> float | None:
    """Weighted geometric mean of the credits of one seed, over what could be measured; None if nothing was.

    >>> quality(Troubles(spikes=0.001, noise=0.0, regression=0.3))
    0.5
    """
    measured = troubles.measured()
    if not measured:
        return None
    weights = {name: getattr(half_points.weights, name) for name in measured}
    logs = [weights[name] * math.log(credit(value, getattr(half_points, name))) for name, value in measured.items()]
    return math.exp(sum(logs) / sum(weights.values()))


def seed_spread(finals: NDArray[np.float64], scale: float) -> float | None:
    """Standard deviation over seeds of the final value, corrected for small n, in units of the yardstick.

    ``sd / (c4(n) * D)``.

    Args:
        finals: Final value of each non-failed seed, shape ``(num_seeds,)``; non-finite ones are left out.
        scale: Yardstick D of the same metric.

    Returns:
        The spread; None for fewer than two finite values.

    >>> round(seed_spread(np.array([1.0, 1.1, 1.2]), scale=2.0), 4)
    0.0564
    """
    finals = finals[np.isfinite(finals)]
    return unbiased_sd(finals) / scale if finals.size >= 2 else None


def stability_score(
    survivors: Sequence[Troubles],
    n_failed: int,
    finals: NDArray[np.float64],
    scale: float | None,
    *,
    half_points: HalfPoints = HalfPoints(),
    level: float = 0.95,
) -> StabilityScore:
    """How stable a recipe is over seeds, 0 to 100, with an interval that includes failures nobody has seen yet.

    ``S = 100 * (1 - k/n) * mean(q)^(3/4) * c_spread^(1/4)``: completion rate, `quality` of the survivors, credit for
    the `seed_spread` (whose weight goes to the quality where it could not be measured), if all troubles weigh the same;
    other `Weights` change the exponents, and those within the quality. Survivors never look better
    because failures were dropped: a failed seed counts as zero. All parts are free of the metric's unit and origin.

    The interval: delete-one jackknife-t on the logit of the score given completion, Wilson's on the completion rate,
    combined by MOVER. Not a percentile bootstrap, whose nominal 95 % covers 68 % at three seeds. A perfect recipe of
    five seeds therefore has a lower limit of 57: that is what five seeds can promise.

    Points lost: ``100 - S``, shared in proportion to the logarithm of each factor.

    Args:
        survivors: Troubles of each non-failed seed.
        n_failed: Number of failed seeds.
        finals: Final value of the primary metric of each survivor, shape ``(len(survivors),)``, NaN where missing.
        scale: Yardstick D of the primary metric; None if undefined.
        half_points: What earns half marks.
        level: Confidence level, in (0, 1).

    Raises:
        ValueError: if there is no seed at all, or ``finals`` has another length than ``survivors``.

    >>> clean = [Troubles(0.0, 0.01, 0.0), Troubles(0.0, 0.012, 0.0), Troubles(0.0, 0.011, 0.0)]
    >>> result = stability_score(clean, 1, np.array([1.0, 1.01, 1.02]), scale=2.0)
    >>> round(result.score, 1), {name: round(points, 1) for name, points in result.points_lost.items()}
    (69.5, {'failures': 24.1, 'spikes': 0.0, 'noise': 4.2, 'regression': 0.0, 'seed_spread': 2.2})
    """
    n_ok, n = len(survivors), len(survivors) + n_failed
    if n == 0:
        raise ValueError("stability_score needs at least one seed")
    if finals.shape != (n_ok,):
        raise ValueError(f"finals must have one value per survivor, got shape {finals.shape} for {n_ok} survivors")
    failure_ci = wilson_interval(n_failed, n, level)
    if n_ok == 0:
        lost = dict.fromkeys(COMPONENTS, 0.0) | {"failures": 100.0}
        return StabilityScore(
            0.0, None, None, None, 1.0, failure_ci, lost, (), "no interval: no seed completed without failing"
        )
    qualities = [quality(troubles, half_points) for troubles in survivors]
    known = np.array([math.nan if value is None else value for value in qualities])
    spread = seed_spread(finals, scale) if scale is not None else None
    missing = tuple(name for name in WITHIN if any(getattr(troubles, name) is None for troubles in survivors))
    if spread is None or not np.all(np.isfinite(finals)):
        missing = (*missing, "seed_spread")
    undefined = _undefined(survivors, spread)
    if undefined is not None:
        return StabilityScore(None, None, None, None, n_failed / n, failure_ci, {}, missing, undefined)

    def given_completion(seeds: NDArray[np.int64]) -> float:
        within = float(np.nanmean(known[seeds]))
        part = seed_spread(finals[seeds], scale) if spread is not None and scale is not None else None
        if part is None:
            return within
        share = half_points.weights.within
        return float(within**share * credit(part, half_points.seed_spread) ** (1 - share))

    completion = n_ok / n
    point = given_completion(np.arange(n_ok))
    score = 100 * completion * point
    lost = _points_lost(100 - score, _log_credits(survivors, completion, spread, half_points))
    reason = _no_interval(known, finals, spread)
    if reason is not None:
        return StabilityScore(score, None, None, None, n_failed / n, failure_ci, lost, missing, reason)
    _, limits = jackknife_t_on_logit(given_completion, n_ok, level)
    low, high = mover_product(completion, wilson_interval(n_ok, n, level), point, limits)
    return StabilityScore(
        score, 100 * low, 100 * high, (100 * limits[0], 100 * limits[1]), n_failed / n, failure_ci, lost, missing, None
    )


def _undefined(survivors: Sequence[Troubles], spread: float | None) -> str | None:
    if spread is None and all(troubles.noise is None and troubles.regression is None for troubles in survivors):
        if all(troubles.spikes is None for troubles in survivors):
            return "nothing could be measured"
        return "only loss spikes could be measured, and a score of those alone would call any quiet run stable"
    if all(not troubles.measured() for troubles in survivors):
        return "only the seed spread could be measured"
    return None


def _no_interval(known: NDArray[np.float64], finals: NDArray[np.float64], spread: float | None) -> str | None:
    measured = int(np.sum(np.isfinite(known)))
    if spread is not None:
        measured = min(measured, int(np.sum(np.isfinite(finals))))
    if measured >= MIN_SURVIVORS and np.all(np.isfinite(known)):
        return None
    return f"no interval: {measured} measured seed{'' if measured == 1 else 's'}, {MIN_SURVIVORS} needed"


def _log_credits(
    survivors: Sequence[Troubles], completion: float, spread: float | None, half_points: HalfPoints
) -> dict[str, float]:
    """``-w log c`` of each component, averaged over survivors where it belongs to a seed."""
    weights = half_points.weights
    within = weights.within if spread is not None else 1.0
    losses = dict.fromkeys(COMPONENTS, 0.0) | {"failures": math.log(1 / completion)}
    for troubles in survivors:
        measured = troubles.measured()
        total = sum(getattr(weights, name) for name in measured)
        for name, value in measured.items():
            log_credit = math.log(credit(value, getattr(half_points, name)))
            losses[name] -= within * getattr(weights, name) / total * log_credit / len(survivors)
    if spread is not None:
        losses["seed_spread"] = (1 - within) * math.log(1 / credit(spread, half_points.seed_spread))
    return losses


def _points_lost(total: float, losses: Mapping[str, float]) -> dict[str, float]:
    whole = sum(losses.values())
    return {name: total * loss / whole if whole > 0 else 0.0 for name, loss in losses.items()}
