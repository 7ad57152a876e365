"""Scores of one seed. A new score is a function and one row in `SCORES`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stabilimeter.analysis.evidence import Evidence, Scales
from stabilimeter.stats.checkpoint_regression import MIN_EVALUATIONS, Regression, checkpoint_regression
from stabilimeter.stats.levels import SIGNIFICANT_SE, Level
from stabilimeter.stats.noise import MIN_POINTS, detrended_noise
from stabilimeter.stats.spike_rate import SpikeRate, olmo2_spikes, olmo_core_spikes
from stabilimeter.stats.spike_rate import spike_rate as rate_of_events
from stabilimeter.stats.stability import HalfPoints, Troubles, quality

MIN_SPIKE_POINTS = 50


@dataclass(frozen=True)
class Measurement:
    """A score of one seed: its value, or why there is none."""

    value: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Score:
    """A named score.

    Attributes:
        name: Its key in a summary and in a checks file.
        unit: Unit of the value.
        better: ``"min"`` or ``"max"``.
        measure: The score of a seed, given the yardsticks of its group.
    """

    name: str
    unit: str
    better: str
    measure: Callable[[Evidence, Scales], Measurement]


def spike_rate(seed: Evidence, scales: Scales) -> Measurement:
    """Loss-spike events per logged step."""
    rate = _spike_rate(seed)
    return Measurement(rate.rate) if isinstance(rate, SpikeRate) else rate


def spike_trouble(seed: Evidence, scales: Scales) -> Measurement:
    """The spike rate as the stability score uses it: shrunk, so that one event in a short log is not taken at 1/n."""
    rate = _spike_rate(seed)
    return Measurement(rate.shrunken) if isinstance(rate, SpikeRate) else rate


def olmo2_spike_score(seed: Evidence, scales: Scales) -> Measurement:
    """Share of steps that spike by the rule of OLMo 2, for comparison."""
    return _published(seed, olmo2_spikes, window=1000)


def olmo_core_spike_score(seed: Evidence, scales: Scales) -> Measurement:
    """Share of steps that spike by the rule of OLMo-core, for comparison."""
    return _published(seed, olmo_core_spikes, window=128)


def noise(seed: Evidence, scales: Scales) -> Measurement:
    """Noise of the training loss around its trend, share of the yardstick."""
    points = _points(seed)
    if points < MIN_POINTS:
        return _too_few(seed, points, MIN_POINTS)
    if not scales.train.is_positive:
        return Measurement(None, _no_scale(seed.roles.train_loss, scales.train))
    return Measurement(detrended_noise(seed.train_loss.values) / scales.train.value)


def regression(seed: Evidence, scales: Scales) -> Measurement:
    """Upper 5 % tail of how far evaluations fall back behind the best so far, share of the yardstick."""
    measured = _regression(seed, scales)
    return Measurement(measured.tail) if isinstance(measured, Regression) else measured


def final_regret(seed: Evidence, scales: Scales) -> Measurement:
    """How far the last evaluation is behind the best level, share of the yardstick."""
    measured = _regression(seed, scales)
    return Measurement(measured.final) if isinstance(measured, Regression) else measured


def regression_count(seed: Evidence, scales: Scales) -> Measurement:
    """Evaluations behind the best so far by more than 3 standard deviations of noise and 1 % of the yardstick."""
    measured = _regression(seed, scales)
    return Measurement(measured.count) if isinstance(measured, Regression) else measured


SCORES = (
    Score("spike_rate", "events per step", "min", spike_rate),
    Score("olmo2_spike_score", "share of steps", "min", olmo2_spike_score),
    Score("olmo_core_spike_score", "share of steps", "min", olmo_core_spike_score),
    Score("noise", "share of D", "min", noise),
    Score("checkpoint_regression", "share of D", "min", regression),
    Score("final_regret", "share of D", "min", final_regret),
    Score("regressions_beyond_3_sigma", "evaluations", "min", regression_count),
)
"""Every score of a seed, but ``quality``, which is made of them."""


def troubles_of(seed: Evidence, scales: Scales) -> Troubles:
    """What the stability score looks at in one seed."""
    return Troubles(
        spikes=spike_trouble(seed, scales).value,
        noise=noise(seed, scales).value,
        regression=regression(seed, scales).value,
    )


def scores_of(seed: Evidence, scales: Scales, half_points: HalfPoints) -> Mapping[str, float | None]:
    """All scores of a seed by name, ``quality`` included."""
    values = {score.name: score.measure(seed, scales).value for score in SCORES}
    return {**values, "quality": quality(troubles_of(seed, scales), half_points)}


def pooled_spike_rate(seeds: Sequence[Evidence]) -> SpikeRate | None:
    """Loss-spike events per logged step over all seeds, with its interval; None below 50 steps.

    Seeds are pooled, so the interval holds if they spike at one rate; where they do not, the scores of each seed tell.
    """
    points = sum(_points(seed) for seed in seeds)
    if points < MIN_SPIKE_POINTS:
        return None
    return rate_of_events(sum(seed.charged_events for seed in seeds), points)


def _spike_rate(seed: Evidence) -> SpikeRate | Measurement:
    points = _points(seed)
    if points < MIN_SPIKE_POINTS:
        return _too_few(seed, points, MIN_SPIKE_POINTS)
    return rate_of_events(seed.charged_events, points)


def _published(seed: Evidence, rule: Callable[[NDArray[np.float64]], NDArray[np.bool_]], *, window: int) -> Measurement:
    points = _points(seed)
    if points <= window:
        return _too_few(seed, points, window + 1)
    return Measurement(float(rule(seed.train_loss.values)[window:].mean()))


def _points(seed: Evidence) -> int:
    return int(np.isfinite(seed.train_loss.values).sum())


def _too_few(seed: Evidence, points: int, needed: int) -> Measurement:
    if seed.roles.train_loss is None:
        return Measurement(None, "no training loss was logged")
    return Measurement(None, f"{seed.roles.train_loss} has {points} finite points, {needed} needed")


def _regression(seed: Evidence, scales: Scales) -> Regression | Measurement:
    tag = seed.primary.tag
    if tag is None:
        return Measurement(None, "no primary metric")
    if seed.primary.mode is None:
        return Measurement(None, f"the better direction of {tag} is unknown")
    points = int(np.isfinite(seed.evaluations.values).sum())
    if points < MIN_EVALUATIONS:
        return Measurement(None, f"{tag} has {points} finite points, {MIN_EVALUATIONS} needed")
    if not scales.evaluation.is_positive:
        return Measurement(None, _no_scale(tag, scales.evaluation))
    measured = checkpoint_regression(seed.evaluations.values, scales.evaluation.value)
    return measured if measured is not None else Measurement(None, f"{tag} has too few points")


def _no_scale(tag: str | None, scale: Level) -> str:
    if not np.isfinite(scale.se):
        return f"the scale of {tag} is undefined: too few points in the non-failed seeds to tell a drop from noise"
    return (
        f"the scale of {tag} is undefined: its drop from start to end, {scale.value:.3g}, is not above "
        f"{SIGNIFICANT_SE:g} standard errors ({scale.se:.3g} each)"
    )
