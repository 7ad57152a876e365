"""What the detector remembers of a series, and how it goes into a checkpoint."""

from typing import Any, NamedTuple

from stabilimeter.stats.detection import tail
from stabilimeter.stats.detection.companion import Companion
from stabilimeter.stats.detection.drift import Drift
from stabilimeter.stats.detection.episode import Episode, Rule
from stabilimeter.stats.detection.lost_ground import Ground
from stabilimeter.stats.detection.setback import Setback
from stabilimeter.stats.detection.slow_worsening import Slow
from stabilimeter.stats.detection.window import Forecast, Track, Window


class State(NamedTuple):
    """Everything the rule remembers: numbers and tuples of bounded length. See `plain` for checkpoints.

    Attributes:
        rule: The settings.
        window: Accepted values.
        weights: Evidence for each shape of the noise.
        episode: The open incident, if any.
        flagged: Whether the last value was out of the ordinary.
        calm: Number of values accepted since the last episode.
        slow: What is known of slow worsening.
        companion: What is known of a second signal; None if there never was a value of one.
    """

    rule: Rule
    window: Window
    weights: tail.Weights
    episode: Episode | None = None
    flagged: bool = False
    calm: int = 0
    slow: Slow = Slow()
    companion: Companion | None = None

    @property
    def onset(self) -> int | None:
        """First step of the incident that is open: an episode, or values in a row; None if there is none of these."""
        if self.episode is not None:
            return self.episode.first_step
        return self.slow.setback.since if self.slow.setback.alarmed else None


def plain(state: State) -> dict[str, Any]:
    """The state as dictionaries, lists and numbers, for a checkpoint; `from_plain` restores it exactly."""
    return {name: _plain(value) for name, value in state._asdict().items()}


def from_plain(saved: dict[str, Any]) -> State:
    """The state saved by `plain`."""
    light, heavy, skewed = saved["weights"]
    episode = saved["episode"]
    if episode is not None:
        window = episode["window"]
        episode = Episode(
            **{
                **episode,
                "baseline": Forecast(**episode["baseline"]),
                "early": tuple(episode["early"]),
                "late": tuple(episode["late"]),
                "window": None if window is None else _window(window),
            }
        )
    return State(
        rule=Rule(**saved["rule"]),
        window=_window(saved["window"]),
        weights=(light, heavy, skewed),
        episode=episode,
        flagged=saved["flagged"],
        calm=saved["calm"],
        slow=Slow(
            drift=_drift(saved["slow"]["drift"]),
            ground=Ground(**_with_tuples(saved["slow"]["ground"])),
            setback=Setback(**_with_tuples(saved["slow"]["setback"])),
        ),
        companion=None if saved["companion"] is None else _companion(saved["companion"]),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        named = getattr(value, "_asdict", None)
        if named is not None:
            return {name: _plain(part) for name, part in named().items()}
        return [_plain(part) for part in value]
    return value


def _track(saved: dict[str, Any]) -> Track:
    return Track(tuple(saved["residuals"]), tuple(saved["ranked"]))


def _window(saved: dict[str, Any]) -> Window:
    tracks = {name: _track(saved[name]) for name in ("last", "level")}
    return Window(**{**saved, "values": tuple(saved["values"]), **tracks})


def _drift(saved: dict[str, Any]) -> Drift:
    slower = None if saved["slower"] is None else _drift(saved["slower"])
    return Drift(**{**saved, "block": tuple(saved["block"]), "rises": _track(saved["rises"]), "slower": slower})


def _companion(saved: dict[str, Any]) -> Companion:
    return Companion(**{**saved, "past": Setback(**_with_tuples(saved["past"]))})


def _with_tuples(saved: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in saved.items()}
