"""One online rule that tells incidents from noise in a series of training or evaluation values.

It is a state machine that sees one value at a time:

1. **Calm.** The window of accepted values (`window.py`) forecasts the next value: centre and robust scale. The
   chance of a value at least as bad, under noise of the shape learnt so far (`tail.py`), is compared with the
   alarm rate. An ordinary value is accepted: it enters the window. A rarer one is *flagged*: it stays out, and an
   episode opens with the forecast frozen as its baseline. A young curve, whose quantiles say little yet, is also
   flagged if it has done nothing but improve and now gives back a quarter of its progress at once.
2. **Episode.** Values are compared with the frozen baseline until they are back in ordinary noise (chance > 0.3 %):
   one value after a short episode, up to four in a row after a longer one. Back after at most 3 values: a ``spike``;
   after more: an ``excursion``.
3. **Settling.** After 16 values outside, a new window starts from them, so that detection goes on at the new level. The
   old one is kept aside: a return to it within 128 values is still an ``excursion``. Without a return it is a
   ``divergence`` if the values kept getting worse, a ``collapse`` if they froze or fell back to where training began,
   else a ``shift``.
4. **Non-finite** values are an incident of their own, over after four finite values. They never enter a window.
5. **Slow worsening** is followed by the window without alarm. In what training is meant to improve it is looked for
   (`slow_worsening.py`) in three ways: too many values in a row on the bad side of the recent past, medians of
   many values that keep rising, and a level far worse than anything at the beginning. It is an ``excursion`` if the
   values return, else a ``shift``, ``divergence`` or ``collapse``. A value that stands out meanwhile makes an episode
   of it, which begins where the worsening began.

Incidents are reported when they are over: `step` returns them, `finish` the one still open. Whether the value just seen
is flagged is known at once (`State.flagged`). The state is immutable, so a caller may look at a value and discard it.
"""

from collections.abc import Iterable, Sequence
from math import isfinite, nan
from statistics import median

from stabilimeter.stats.detection import companion, slow_worsening, tail
from stabilimeter.stats.detection.calm_stretch import CALM_BEFORE_LEARNING, passed
from stabilimeter.stats.detection.episode import SETTLING_POINTS, Episode, Rule, incident, judged, outgrown
from stabilimeter.stats.detection.setback import Support
from stabilimeter.stats.detection.slow_worsening import Slow
from stabilimeter.stats.detection.state import State
from stabilimeter.stats.detection.window import YOUNG, Forecast, Window, accepted, bridged, forecast, restarted
from stabilimeter.stats.incident import Incident, Kind

ALARM_RATE = 1e-4
"""Default chance, at most, of flagging a value of stationary noise."""

MAX_EXCURSION_POINTS = 128
"""A return after more values than this is not a return: the new level was a shift."""

_FEWEST_RESIDUALS = 4
_USED_RATE = 0.5  # the rest of the alarm rate is kept for what the reference shapes do not capture
_BACK_CHANCE = 0.003
_NONFINITE_GAP = 4
_CLEAN_RISE = 0.05
_LOST_PROGRESS = 0.25


def start(*, mode: str = "min", positive: bool | None = None, alarm_rate: float = ALARM_RATE, key: str = "") -> State:
    """State before the first value.

    Args:
        mode: ``"min"`` if lower is better (high values are bad), ``"max"`` if higher is better, ``"both"`` if either
            direction is bad.
        positive: True for a magnitude that training is not meant to lower, such as a gradient norm: its logarithm is
            judged, growing slowly is no incident, and a zero is passed over unless low is bad. False or None: the
            values are judged as they are and skewed noise is learnt as a shape, so that incidents do not depend on unit
            or origin.
        alarm_rate: Chance, at most, of flagging a value of stationary noise; in (0, 0.01], accurate up to 0.001. Noise
            with a tail like Student's t with 3 degrees of freedom comes close to it (of magnitudes, noise with a power
            tail); lighter noise stays well below, because the lightest shape assumed has 10 (the variance of real noise
            changes from step to step).
        key: Name of the series, passed on to the incidents.

    Raises:
        ValueError: If ``mode`` or ``alarm_rate`` is not one of the above.
    """
    if mode not in ("min", "max", "both"):
        raise ValueError(f"mode must be 'min', 'max' or 'both', got {mode!r}")
    if not 0.0 < alarm_rate <= 0.01:
        raise ValueError(f"alarm_rate must be above 0 and at most 0.01, got {alarm_rate!r}")
    return _fresh(Rule(mode, bool(positive), alarm_rate, key))


def step(state: State, step: int, value: float, beside: float | None = None) -> tuple[State, Incident | None]:
    """The state after one more value, and the incident that this value brought to an end, if any.

    Args:
        state: The state before.
        step: Step of the value.
        value: The value in its own unit.
        beside: A magnitude measured with it, such as the gradient norm beside the loss, if there is one: a turn for the
            worse that both show is found earlier (`companion.py`). It is not judged itself.
    """
    value = float(value)
    episode = state.episode
    if not isfinite(value):
        return _nonfinite(state, step, value)
    if state.rule.log_scale and value <= 0.0 and state.rule.mode == "min":
        return state._replace(flagged=False), None  # not too high, and no level to compare the next value with
    y = judged(state.rule, value)
    support = None
    if beside is not None and state.rule.improving:
        known, support = companion.followed(state.companion, beside, state.slow.setback, y)
        state = state._replace(companion=known)
    if episode is None:
        return _calm(state, step, value, y, support)
    if not episode.finite:
        return _after_nonfinite(state, episode, step, value, y)
    if _chance(state, episode.baseline, y, episode.side) > _BACK_CHANCE:
        episode = episode._replace(back=episode.back + 1)
        if episode.back < min(1 + episode.outside // 4, 4):
            return state._replace(episode=episode, flagged=False), None
        window = bridged(episode.window or state.window, y)
        ended = incident(state.rule, episode, recovered_at=step, window=window)
        calm = state.calm if ended.kind is Kind.SPIKE else 0
        return state._replace(window=window, episode=None, flagged=False, calm=calm), ended
    return _outside(state, episode, step, value, y)


def onward(
    state: State,
    steps: Sequence[int],
    values: Sequence[float],
    at: int,
    beside: Sequence[float | None] | None = None,
) -> tuple[State, Incident | None, int]:
    """Many steps at once: over the ordinary values from index ``at`` on, and over the first that is not.

    Args:
        state: The state before them.
        steps: Step of each value, shape (n,).
        values: The series in its own unit, shape (n,), as Python floats.
        at: Index of the next value, below n.
        beside: A magnitude measured with each value, see `step`, shape (n,); None where there is none.

    Returns:
        The state that `step` would have reached, the incident that the last value brought to an end, if any, and the
        index of the next value. An incident that is open now and was not before began at the value before that.
    """
    state, at = passed(state, steps, values, at, rarest=_USED_RATE * state.rule.alarm_rate, beside=beside)
    if at == len(values):
        return state, None, at
    state, ended = step(state, steps[at], values[at], None if beside is None else beside[at])
    return state, ended, at + 1


def finish(state: State) -> Incident | None:
    """The incident that is still open, as it looks now."""
    if state.episode is not None:
        return incident(state.rule, state.episode, window=state.window)
    return slow_worsening.going_on(state.rule, state.slow, forecast(state.window).scale, state.window)


def detect(
    steps: Iterable[int],
    values: Iterable[float],
    *,
    mode: str = "min",
    positive: bool | None = None,
    alarm_rate: float = ALARM_RATE,
    key: str = "",
    beside: Iterable[float | None] | None = None,
) -> list[Incident]:
    """All incidents of a series: the fold of `step` over it.

    Args:
        steps: Step of each value, shape (n,).
        values: The series in its own unit, shape (n,). NaN and infinities are incidents, not gaps.
        mode: See `start`.
        positive: See `start`.
        alarm_rate: See `start`.
        key: See `start`.
        beside: A magnitude measured with each value, see `step`, shape (n,); None where there is none.

    Returns:
        The incidents in the order in which they ended.

    >>> values = [2.0, 2.1, 1.9, 2.05] * 20 + [50.0] + [2.0, 2.1] * 5
    >>> [(i.kind.value, i.step, i.value) for i in detect(range(len(values)), values)]
    [('spike', 80, 50.0)]
    """
    state = start(mode=mode, positive=positive, alarm_rate=alarm_rate, key=key)
    whole_steps, numbers = [int(at) for at in steps], [float(value) for value in values]
    if len(whole_steps) != len(numbers):
        raise ValueError(f"one step for each value, got {len(whole_steps)} steps and {len(numbers)} values")
    others = None if beside is None else list(beside)
    if others is not None and len(others) != len(numbers):
        raise ValueError(f"one value beside each value, got {len(others)} beside {len(numbers)} values")
    incidents, at = [], 0
    while at < len(numbers):
        state, ended, at = onward(state, whole_steps, numbers, at, others)
        if ended is not None:
            incidents.append(ended)
    last = finish(state)
    return incidents if last is None else [*incidents, last]


def _fresh(rule: Rule) -> State:
    return State(rule, Window(magnitude=float(rule.log_scale)), tail.no_evidence())


def _chance(state: State, expected: Forecast, y: float, side: int) -> float:
    u = side * (y - expected.centre) / expected.scale
    return 0.5 if u < 1.5 else tail.chance_above(state.rule.shapes, state.weights, u, expected.n)


def _unexpected(state: State, expected: Forecast, y: float) -> Episode | None:
    """The episode that this value opens, or None if it is ordinary. Its step and value are filled in by the caller."""
    rule, window = state.rule, state.window
    if rule.improving and _FEWEST_RESIDUALS <= window.seen < YOUNG:
        progress = window.first - window.best
        given_back = y - window.values[-1]
        moves = window.last.ranked
        spread = moves[-1] - median(moves)
        if window.roughest <= _CLEAN_RISE * progress and given_back > max(
            _LOST_PROGRESS * progress, YOUNG / window.seen * spread
        ):
            baseline = Forecast(window.values[-1], 0.1 * _LOST_PROGRESS * progress, YOUNG)
            return Episode(0, 0, y, baseline, early=(y,), late=(y,))
    if expected.n < _FEWEST_RESIDUALS:
        return None
    side, tails = 1, 1
    if rule.mode == "both":
        side, tails = (1 if y > expected.centre else -1), 2
    if _chance(state, expected, y, side) * tails < _USED_RATE * rule.alarm_rate:
        return Episode(0, 0, y, expected, side, early=(y,), late=(y,))
    return None


def _calm(
    state: State, step: int, value: float, y: float, support: Support | None = None
) -> tuple[State, Incident | None]:
    expected = forecast(state.window)
    opened = _unexpected(state, expected, y)
    if opened is not None and state.slow.setback.alarmed:
        opened = outgrown(state.rule, state.slow.setback, step, value, y)
        return state._replace(episode=opened, flagged=True, slow=Slow()), None
    if opened is not None:
        opened = opened._replace(first_step=step, last_step=step, worst=value)
        return state._replace(episode=opened, flagged=True), None
    weights = state.weights
    calm = state.calm + 1
    if calm >= CALM_BEFORE_LEARNING:
        u = (y - expected.centre) / expected.scale
        weights = tail.learnt(state.rule.shapes, weights, abs(u) if state.rule.mode == "both" else u)
    window = accepted(state.window, y)
    if not state.rule.improving:
        return State(state.rule, window, weights, None, False, calm), None
    slow, ended = slow_worsening.followed(state.rule, state.slow, step, y, expected.scale, window, support)
    return State(state.rule, window, weights, None, False, calm, slow, state.companion), ended


def _outside(state: State, episode: Episode, step: int, value: float, y: float) -> tuple[State, Incident | None]:
    episode = episode.extended(step, value, y, worse=episode.side * (y - judged(state.rule, episode.worst)) > 0)
    if episode.outside < SETTLING_POINTS:
        return state._replace(episode=episode, flagged=True), None
    if episode.window is None:
        window = restarted(state.window, episode.late)
        return state._replace(window=window, episode=episode._replace(window=state.window), flagged=True), None
    expected = forecast(state.window)
    reopened = _unexpected(state, expected, y)
    if reopened is None and episode.outside < MAX_EXCURSION_POINTS:
        return state._replace(window=accepted(state.window, y), episode=episode, flagged=False), None
    ended = incident(state.rule, episode, window=state.window)
    settled = state._replace(calm=0, slow=Slow())
    if reopened is None:
        return settled._replace(window=accepted(state.window, y), episode=None, flagged=False), ended
    reopened = reopened._replace(first_step=step, last_step=step, worst=value)
    return settled._replace(episode=reopened, flagged=True), ended


def _nonfinite(state: State, step: int, value: float) -> tuple[State, Incident | None]:
    episode = state.episode
    if episode is not None and not episode.finite:
        return state._replace(episode=episode.extended(step, value, nan, worse=False), flagged=True), None
    expected = forecast(state.window)
    if expected.n == 0:
        expected = Forecast(nan, nan, 0)
    opened = Episode(step, step, value, expected, finite=False)
    slow = slow_worsening.interrupted(state.slow)
    return state._replace(episode=opened, flagged=True, slow=slow), finish(state)


def _after_nonfinite(
    state: State, episode: Episode, step: int, value: float, y: float
) -> tuple[State, Incident | None]:
    after, _ = _calm(state._replace(episode=None), step, value, y)
    if after.flagged or episode.back + 1 == _NONFINITE_GAP:
        return after, incident(state.rule, episode, window=state.window)
    return after._replace(episode=episode._replace(back=episode.back + 1)), None
