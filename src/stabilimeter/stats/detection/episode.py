"""An incident while it lasts, and what it is called when it is over."""

from math import exp, log
from statistics import median
from typing import Any, NamedTuple

from stabilimeter.stats.detection import tail
from stabilimeter.stats.detection.drift import Drift
from stabilimeter.stats.detection.lost_ground import POINTS, Ground
from stabilimeter.stats.detection.setback import Setback
from stabilimeter.stats.detection.window import TINY, Forecast, Window
from stabilimeter.stats.incident import Incident, Kind

SPIKE_POINTS = 3
"""A recovery after more values than this makes it an excursion."""

SETTLING_POINTS = 16
"""Values outside after which a new level is learnt."""

_EDGE = 4
_WORSENING = 1.5
_FROZEN = 0.4
_REAL_PROGRESS = 20.0


class Rule(NamedTuple):
    """What does not change along a series.

    Attributes:
        mode: ``"min"`` if high values are bad, ``"max"`` if low ones are, ``"both"``.
        log_scale: Judge logarithms; values must be positive.
        alarm_rate: Chance, at most, of flagging a value of stationary noise.
        key: Name given to the incidents.
    """

    mode: str = "min"
    log_scale: bool = False
    alarm_rate: float = 1e-4
    key: str = ""

    @property
    def shapes(self) -> tail.Shapes:
        """The shapes that its noise may have."""
        return tail.LOGARITHMS if self.log_scale else tail.VALUES

    @property
    def improving(self) -> bool:
        """Whether training is meant to improve the series, so that progress given back is bad."""
        return self.mode != "both" and not self.log_scale


class Episode(NamedTuple):
    """An incident that is not over.

    Attributes:
        first_step: Where it began.
        last_step: Last step outside.
        worst: Most extreme value so far, in the series' own unit.
        baseline: The forecast frozen at the beginning, in judged units.
        side: +1 if the values lie above the baseline, -1 if below (in judged units).
        outside: Number of values outside.
        back: Number of values in a row that were back.
        early: The first few values outside, in judged units.
        late: The last values outside, in judged units.
        window: The window before the episode; None until a new one has replaced it.
        finite: False for an episode of non-finite values.
    """

    first_step: int
    last_step: int
    worst: float
    baseline: Forecast
    side: int = 1
    outside: int = 1
    back: int = 0
    early: tuple[float, ...] = ()
    late: tuple[float, ...] = ()
    window: Window | None = None
    finite: bool = True

    def extended(self, step: int, value: float, y: float, *, worse: bool) -> "Episode":
        """The episode after one more value outside: ``value`` in its own unit, ``y`` as judged."""
        return self._replace(
            last_step=step,
            worst=value if worse else self.worst,
            outside=self.outside + 1,
            back=0,
            early=self.early if len(self.early) == _EDGE else (*self.early, y),
            late=(*self.late, y)[-SETTLING_POINTS:],
        )


def judged(rule: Rule, value: float) -> float:
    """The value as the rule sees it: logarithm taken if the rule says so, and lower is better."""
    y = log(max(value, TINY)) if rule.log_scale else value
    return -y if rule.mode == "max" else y


def own_unit(rule: Rule, y: float) -> float:
    """The inverse of `judged`; NaN stays NaN."""
    y = -y if rule.mode == "max" else y
    return exp(y) if rule.log_scale else y


def incident(rule: Rule, episode: Episode, *, window: Window, recovered_at: int | None = None) -> Incident:
    """The report of an episode.

    Args:
        rule: The rule that found it.
        episode: The episode.
        window: Accepted values, for where the series began and how good it has been.
        recovered_at: First step that was back; None if there was no return.
    """
    centre, scale, _ = episode.baseline
    baseline = own_unit(rule, centre)
    evidence: dict[str, Any] = {"points": episode.outside}
    if episode.finite:
        evidence["deviations"] = episode.side * (judged(rule, episode.worst) - centre) / episode.baseline.scale
        evidence["recovered"] = recovered_at is not None
        if recovered_at is not None:
            evidence["steps_to_recover"] = recovered_at - episode.first_step
    return Incident(
        kind=kind(episode, window, recovered=recovered_at is not None),
        step=episode.first_step,
        end_step=episode.last_step,
        value=episode.worst,
        baseline=baseline,
        scale=scale * baseline if rule.log_scale else scale,
        key=rule.key,
        evidence=evidence,
    )


def worsening(rule: Rule, drift: Drift, scale: float) -> Incident:
    """The report of a rise that only medians show; ``scale`` is the noise of single values, in judged units.

    One step that makes up most of the rise is a shift, too small to stand out in single values.
    """
    baseline = own_unit(rule, drift.onset)
    return Incident(
        kind=Kind.SHIFT if drift.steepest > 0.5 * (drift.peak - drift.onset) else Kind.DIVERGENCE,
        step=drift.onset_step,
        end_step=drift.peak_step,
        value=own_unit(rule, drift.peak),
        baseline=baseline,
        scale=scale * baseline if rule.log_scale else scale,
        key=rule.key,
        evidence={"slow": True, "points_per_median": drift.points, "deviations": (drift.peak - drift.onset) / scale},
    )


def turned(rule: Rule, setback: Setback, window: Window) -> Incident:
    """The report of a setback, over or not: values that are worse than before by too many in a row to be chance."""
    centre, scale = setback.before, setback.noise
    baseline = own_unit(rule, centre)
    recovered = setback.has_returned
    kind = Kind.EXCURSION
    if not recovered:
        kind = _new_level(setback.first - centre, setback.level - centre, scale, window)
    return Incident(
        kind=kind,
        step=setback.since,
        end_step=setback.last_step if recovered else max(setback.last_step, setback.peak_step),
        value=own_unit(rule, setback.peak),
        baseline=baseline,
        scale=scale,
        key=rule.key,
        evidence={
            "slow": True,
            "points": setback.points,
            "deviations": (setback.peak - centre) / scale,
            "recovered": recovered,
        },
    )


def outgrown(rule: Rule, setback: Setback, step: int, value: float, y: float) -> Episode:
    """The episode that a setback has become with a value that stands out by itself."""
    late = (*setback.recent, *setback.block, y)[-min(SETTLING_POINTS, setback.points + 1) :]
    return Episode(
        first_step=setback.since,
        last_step=step,
        worst=value,
        baseline=Forecast(setback.before, setback.noise, len(setback.reference)),
        outside=setback.points + 1,
        early=(setback.first,) * min(_EDGE, setback.points),
        late=late,
    )


def worse_than_start(rule: Rule, ground: Ground) -> Incident | None:
    """The report of a level worse than anything at the beginning; None if there is none."""
    if ground.onset_step is None:
        return None
    baseline = own_unit(rule, ground.held)
    return Incident(
        kind=Kind.DIVERGENCE,
        step=ground.onset_step,
        end_step=ground.peak_step,
        value=own_unit(rule, ground.peak),
        baseline=baseline,
        scale=ground.scale,
        key=rule.key,
        evidence={
            "slow": True,
            "points_per_median": POINTS,
            "deviations": (ground.peak - ground.held) / ground.scale,
        },
    )


def kind(episode: Episode, window: Window, *, recovered: bool) -> Kind:
    """What to call an episode that is over (or that the series ended in)."""
    if not episode.finite:
        return Kind.NONFINITE
    if recovered:
        return Kind.SPIKE if episode.outside <= SPIKE_POINTS else Kind.EXCURSION
    if episode.outside < 2 * _EDGE:
        return Kind.SPIKE if episode.outside <= SPIKE_POINTS else _lasting(episode, window, edge=episode.outside // 2)
    return _lasting(episode, window, edge=_EDGE)


def _lasting(episode: Episode, window: Window, *, edge: int) -> Kind:
    """Divergence if the last values are far worse than the first, collapse if they are dead or useless, else shift."""
    centre, scale, _ = episode.baseline
    early = episode.side * (median(episode.early[:edge]) - centre)
    late = episode.side * (median(episode.late[-edge:]) - centre)
    kind = _new_level(early, late, scale, window)
    recent = sorted(episode.late)
    cut = len(recent) // 8
    frozen = recent[-1 - cut] - recent[cut] <= _FROZEN * scale
    return Kind.COLLAPSE if frozen and kind is Kind.SHIFT else kind


def _new_level(early: float, late: float, scale: float, window: Window) -> Kind:
    """Divergence if it is far worse than at first, collapse if what training had gained is gone, else shift."""
    if late > _WORSENING * early + _EDGE * scale:
        return Kind.DIVERGENCE
    progress = window.first - window.best
    useless = progress > _REAL_PROGRESS * scale and 0.8 * progress < late < 1.25 * progress
    return Kind.COLLAPSE if useless else Kind.SHIFT
