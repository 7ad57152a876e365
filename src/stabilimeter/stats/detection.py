"""One online rule that tells incidents from noise in a series of training or evaluation values.

The state machine, one value at a time:

1. **Calm.** The next value is forecast from the window of accepted values (`stats/window.py`): centre and robust scale.
   The chance of a value as bad as the one seen, under noise of the shape learnt so far (`stats/tail.py`), is compared
   with the nominal alarm rate. Not rarer: the value is accepted, enters the window and teaches the tail. Rarer: it is
   *flagged*, stays out of the window, and an episode opens with the forecast frozen as its baseline.
2. **Episode.** Values are compared with the frozen baseline until they are back within ordinary noise (chance above
   1 %), for as many values in a row as a quarter of those spent outside, at most four. Back after at most 3 values: a
   ``spike``; after more: an ``excursion``.
3. **Settling.** After 16 values outside, a new window starts from them, so that detection goes on at the new level, and
   the old baseline is remembered: a return to it within 128 values is still an ``excursion`` and restores the old
   window. If the values do not return, it is a ``divergence`` where they kept getting worse, a ``collapse`` where the
   new level has lost its noise (a constant predictor, a frozen value), else a ``shift``.
4. **Non-finite** values are an incident of their own that closes after four finite ones. They never enter the window.

Incidents are reported when they are over (`step` returns them, `finish` closes the last); whether the current value is
flagged is known at once (`State.flagged`). The state is immutable, so a caller may look at a value and then discard it.
"""

from collections.abc import Iterable
from math import exp, isfinite, log, nan
from statistics import median
from typing import Any, NamedTuple

from stabilimeter.stats import tail
from stabilimeter.stats.incident import Incident, Kind
from stabilimeter.stats.window import Forecast, Window, accepted, forecast

ALARM_RATE = 1e-4
"""Nominal chance of flagging a value of stationary noise."""

SPIKE_POINTS = 3
SETTLING_POINTS = 16
MAX_EXCURSION_POINTS = 128
MIN_RESIDUALS = 4

_BACK_CHANCE = 0.01
_TINY = 1e-300
_NONFINITE_GAP = 4


class Rule(NamedTuple):
    """What does not change along a series.

    Attributes:
        mode: ``"min"`` if high values are bad, ``"max"`` if low ones are, ``"both"``.
        log_scale: Judge logarithms; values must be positive.
        alarm_rate: Nominal chance of flagging a value of stationary noise.
        key: Name given to the incidents.
    """

    mode: str = "min"
    log_scale: bool = False
    alarm_rate: float = ALARM_RATE
    key: str = ""


class Episode(NamedTuple):
    """An incident that is not over.

    Attributes:
        first_step: Where it began.
        last_step: Last step outside.
        worst: Most extreme value so far, in the series' own unit.
        baseline: The forecast frozen at the beginning, in judged units (oriented, logarithm taken).
        side: +1 if the values are above the baseline, -1 if below (in judged units).
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


class State(NamedTuple):
    """Everything the rule remembers: plain numbers and tuples of bounded length.

    Attributes:
        rule: The settings.
        window: Accepted values.
        weights: Evidence for each shape of the tail.
        episode: The open incident, if any.
        flagged: Whether the last value was found to be out of the ordinary.
    """

    rule: Rule
    window: Window
    weights: tail.Weights
    episode: Episode | None = None
    flagged: bool = False


def start(*, mode: str = "min", positive: bool | None = None, alarm_rate: float = ALARM_RATE, key: str = "") -> State:
    """State before the first value.

    Args:
        mode: ``"min"`` if lower is better (high values are bad), ``"max"`` if higher is better, ``"both"`` if a change
            in either direction is.
        positive: True for a signal that is positive by nature: its logarithm is judged. False or None: the values are
            judged as they are, and skewed noise is learnt as a shape of the tail; then the result does not depend on
            unit and origin.
        alarm_rate: Nominal chance of flagging a value of stationary noise, in (0, 0.1].
        key: Name of the series, passed on to the incidents.

    Raises:
        ValueError: If ``mode`` or ``alarm_rate`` is not one of the above.
    """
    if mode not in ("min", "max", "both"):
        raise ValueError(f"mode must be 'min', 'max' or 'both', got {mode!r}")
    if not 0.0 < alarm_rate <= 0.1:
        raise ValueError(f"alarm_rate must be in (0, 0.1], got {alarm_rate!r}")
    return State(Rule(mode, bool(positive), alarm_rate, key), Window(), tail.prior())


def step(state: State, step: int, value: float) -> tuple[State, Incident | None]:
    """The state after one more value, and the incident that this value brought to an end, if any."""
    value = float(value)
    if not isfinite(value):
        return _nonfinite(state, step, value)
    y = _judged(state.rule, value)
    episode = state.episode
    if episode is None:
        return _calm(state, step, value, y), None
    if not episode.finite:
        after = _calm(state._replace(episode=None), step, value, y)
        if after.episode is not None:
            return after, _closed(state)
        if episode.back + 1 >= _NONFINITE_GAP:
            return after, _closed(state)
        return after._replace(episode=episode._replace(back=episode.back + 1)), None
    if _chance(state, episode.baseline, y, side=episode.side) > _BACK_CHANCE:
        episode = episode._replace(back=episode.back + 1)
        if episode.back >= min(1 + episode.outside // 4, 4):
            window = episode.window or state.window
            done = _closed(state, recovered=True)
            return State(state.rule, accepted(window, y), state.weights), done
        return state._replace(episode=episode, flagged=False), None
    return _outside(state, episode, step, value, y)


def finish(state: State) -> Incident | None:
    """The incident that was still open at the end of the series."""
    return None if state.episode is None else _closed(state)


def detect(
    steps: Iterable[int],
    values: Iterable[float],
    *,
    mode: str = "min",
    positive: bool | None = None,
    alarm_rate: float = ALARM_RATE,
    key: str = "",
) -> list[Incident]:
    """All incidents of a series, in order: the fold of `step` over it.

    Args:
        steps: Step of each value, shape (n,).
        values: The series in its own unit, shape (n,); NaN and infinities are incidents, not gaps.
        mode: See `start`.
        positive: See `start`.
        alarm_rate: See `start`.
        key: See `start`.

    >>> [(i.kind.value, i.step) for i in detect(range(100), [2.0, 2.1, 1.9, 2.05] * 20 + [50.0] + [2.0] * 19)]
    [('spike', 80)]
    """
    state = start(mode=mode, positive=positive, alarm_rate=alarm_rate, key=key)
    incidents = []
    for at, value in zip(steps, values, strict=True):
        state, incident = step(state, int(at), value)
        if incident is not None:
            incidents.append(incident)
    last = finish(state)
    return incidents if last is None else [*incidents, last]


def _judged(rule: Rule, value: float) -> float:
    y = log(max(value, _TINY)) if rule.log_scale else value
    return -y if rule.mode == "max" else y


def _own_unit(rule: Rule, y: float) -> float:
    y = -y if rule.mode == "max" else y
    return exp(y) if rule.log_scale else y


def _chance(state: State, expected: Forecast, y: float, side: int) -> float:
    u = side * (y - expected.centre) / expected.scale
    if u < 1.5:
        return 0.5
    return tail.chance_above(state.weights, u, expected.n)


def _calm(state: State, step: int, value: float, y: float) -> State:
    expected = forecast(state.window)
    if expected.n < MIN_RESIDUALS:
        return State(state.rule, accepted(state.window, y), state.weights)
    if expected.scale == 0.0:
        expected = expected._replace(scale=1e-300)
    u = (y - expected.centre) / expected.scale
    two_sided = state.rule.mode == "both"
    side = -1 if two_sided and u < 0 else 1
    if _chance(state, expected, y, side) * (1 + two_sided) < state.rule.alarm_rate:
        episode = Episode(step, step, value, expected, side, early=(y,), late=(y,))
        return state._replace(episode=episode, flagged=True)
    return State(state.rule, accepted(state.window, y), tail.learnt(state.weights, u))


def _outside(state: State, episode: Episode, step: int, value: float, y: float) -> tuple[State, Incident | None]:
    worse = episode.side * (y - _judged(state.rule, episode.worst)) > 0
    episode = episode._replace(
        last_step=step,
        worst=value if worse else episode.worst,
        outside=episode.outside + 1,
        back=0,
        early=episode.early if len(episode.early) >= 4 else episode.early + (y,),
        late=(episode.late + (y,))[-SETTLING_POINTS:],
    )
    if episode.outside < SETTLING_POINTS:
        return state._replace(episode=episode, flagged=True), None
    if episode.window is None:
        window = Window()
        for late in episode.late:
            window = accepted(window, late)
        return State(state.rule, window, state.weights, episode._replace(window=state.window), True), None
    if episode.outside >= MAX_EXCURSION_POINTS:
        return State(state.rule, accepted(state.window, y), state.weights), _closed(state)
    after = _calm(state._replace(episode=None), step, value, y)
    if after.episode is not None:
        return after, _closed(state)
    return after._replace(episode=episode), None


def _nonfinite(state: State, step: int, value: float) -> tuple[State, Incident | None]:
    episode = state.episode
    if episode is not None and not episode.finite:
        episode = episode._replace(last_step=step, outside=episode.outside + 1, back=0)
        return state._replace(episode=episode, flagged=True), None
    done = None if episode is None else _closed(state)
    expected = forecast(state.window)
    if expected.n == 0:
        expected = Forecast(nan, nan, 0)
    opened = Episode(step, step, value, expected, finite=False)
    return state._replace(episode=opened, flagged=True), done


def _closed(state: State, *, recovered: bool = False) -> Incident:
    rule, episode = state.rule, state.episode
    if episode is None:
        raise ValueError("no incident is open")
    centre, scale, _ = episode.baseline
    baseline = _own_unit(rule, centre) if isfinite(centre) else nan
    evidence: dict[str, Any] = {"points": episode.outside}
    if episode.finite:
        evidence["recovered"] = recovered
        evidence["deviations"] = episode.side * (_judged(rule, episode.worst) - centre) / scale
    return Incident(
        kind=_kind(episode, recovered),
        step=episode.first_step,
        end_step=episode.last_step,
        value=episode.worst,
        baseline=baseline,
        scale=abs(baseline) * scale if rule.log_scale else scale,
        key=rule.key,
        evidence=evidence,
    )


def _kind(episode: Episode, recovered: bool) -> Kind:
    if not episode.finite:
        return Kind.NONFINITE
    if recovered or episode.outside <= SPIKE_POINTS:
        return Kind.SPIKE if episode.outside <= SPIKE_POINTS else Kind.EXCURSION
    centre, scale, _ = episode.baseline
    early = episode.side * (median(episode.early) - centre)
    late = episode.side * (median(episode.late[-4:]) - centre)
    if episode.outside >= 8 and late > 1.5 * early + 4 * scale:
        return Kind.DIVERGENCE
    spread = max(episode.late) - min(episode.late)
    if episode.outside >= 8 and spread < 0.5 * scale:
        return Kind.COLLAPSE
    return Kind.SHIFT
