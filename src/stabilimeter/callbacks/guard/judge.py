"""Whether loss and gradient norm of a step are ordinary, by the rule of `stabilimeter.stats.detection`."""

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite, nan
from typing import Any, NamedTuple

from stabilimeter.callbacks.guard.ladder import Trouble
from stabilimeter.records import keys
from stabilimeter.stats import detection
from stabilimeter.stats.detection import SETTLING_POINTS
from stabilimeter.stats.incident import Incident, Kind
from stabilimeter.stats.rate_jump import RATE_JUMP, RateJump, jump_behind, rate_jumps

_SERIOUS = 2.0
"""Deviations from which on a slow turn is clear: one that stays below is no incident either if it goes back by itself.

Below, it is clear when it has lasted for `SETTLING_POINTS` values, the time after which a new level is believed."""

_MOST_JUMPS = 20


class Finding(NamedTuple):
    """Something out of the ordinary at a step.

    Attributes:
        incident: One of a single point, at this step. Its evidence holds the names of the series that are ``flagged``;
            for a slow turn also ``onset_step``, where it began, ``deviations``, and a ``learning_rate_jump`` behind it.
        trouble: What it amounts to.
    """

    incident: Incident
    trouble: Trouble


class Judge:
    """The detectors of one optimizer: its loss as it is, its gradient norm by its logarithm.

    The loss is judged alone, unlike in the monitor: a guard acts on a turn while it lasts, and with the gradient norm
    beside the loss more of those are false (docs/detection.md).

    Args:
        alarm_rate: Chance, at most, of flagging an ordinary value.
        suffix: What this optimizer adds to the names of the series; empty if it is the only one.
    """

    def __init__(self, alarm_rate: float, suffix: str) -> None:
        self._loss_key, self._norm_key = keys.LOSS + suffix, keys.GRAD_NORM + suffix
        self._states = {
            key: detection.start(mode="min", positive=key == self._norm_key, alarm_rate=alarm_rate, key=key)
            for key in (self._loss_key, self._norm_key)
        }
        self._open: dict[str, Incident | None] = dict.fromkeys(self._states)
        self._lasted = 0
        self._first = 0
        self._told: int | None = None
        self._rate: float | None = None
        self._jumps: list[RateJump] = []

    @property
    def onset(self) -> int | None:
        """First step of what is out of the ordinary now, a slow turn included; None if nothing is."""
        return min((self._onset(incident) for incident in self._open.values() if incident is not None), default=None)

    def findings(
        self, step: int, *, loss: float | None, norm: float | None, learning_rate: float | None = None
    ) -> list[Finding]:
        """What is out of the ordinary at this step: a slow turn, told once, of the loss only; values that stand out.

        Args:
            step: Number of the optimizer step.
            loss: Its loss; None if not known.
            norm: Norm of its gradients; None if there are none, or if they are not for us to judge.
            learning_rate: As it is for this step; None if not known.
        """
        if learning_rate is not None:
            self._jumps = [*self._jumps, *rate_jumps([step], [learning_rate], self._rate)][-_MOST_JUMPS:]
            self._rate = learning_rate
        before, standing_out = self._open[self._loss_key], []
        for key, value in ((self._loss_key, loss), (self._norm_key, norm)):
            if value is None:
                continue
            state, _ = detection.step(self._states[key], step, value)
            self._states[key], self._open[key] = state, detection.finish(state)
            if state.flagged:
                standing_out.append(_as_seen_now(self._open[key], key, step, value))
        evidence = {"flagged": [incident.key for incident in standing_out]}
        found = []
        opened = self._open[self._loss_key]
        if loss is not None and opened is not None and self._is_clear_turn(opened, before):
            found.append(Finding(self._turn(opened, step, loss, evidence), Trouble.TURN))
        if standing_out:
            found.append(Finding(replace(standing_out[0], evidence=evidence), self._trouble(standing_out)))
        return found

    def state_dict(self) -> dict[str, Any]:
        """Dictionaries, lists and numbers."""
        return {
            "loss": detection.plain(self._states[self._loss_key]),
            "norm": detection.plain(self._states[self._norm_key]),
            "lasted": self._lasted,
            "first": self._first,
            "told": self._told,
            "rate": self._rate,
            "jumps": [list(jump) for jump in self._jumps],
        }

    def load_state_dict(self, saved: Mapping[str, Any], first: int | None = None) -> None:
        """Go on from `state_dict`, under this judge's own alarm rate and names.

        Args:
            saved: The state.
            first: The next step, if the state is one that has proved healthy since: nothing that comes now has begun
                before.
        """
        for key, name in ((self._loss_key, "loss"), (self._norm_key, "norm")):
            state = detection.from_plain(saved[name])._replace(rule=self._states[key].rule)
            self._states[key], self._open[key] = state, detection.finish(state)
        self._first = saved["first"] if first is None else first
        self._lasted, self._told, self._rate = saved["lasted"], saved["told"], saved["rate"]
        self._jumps = [RateJump(*jump) for jump in saved["jumps"]]

    def _is_clear_turn(self, opened: Incident, before: Incident | None) -> bool:
        """Whether what is open is a slow turn that is serious, lasts, or of which a value has come to stand out.

        Not twice the same.
        """
        goes_on = before is not None and _is_slow(before) and before.step == opened.step
        self._lasted = self._lasted + 1 if goes_on else 0
        if self._onset(opened) == self._told:
            return False
        if not _is_slow(opened):
            return goes_on
        lasts = self._lasted >= SETTLING_POINTS and not opened.evidence.get("recovered", False)
        return lasts or opened.evidence["deviations"] >= _SERIOUS

    def _turn(self, opened: Incident, step: int, loss: float, evidence: Mapping[str, Any]) -> Incident:
        self._told = onset = self._onset(opened)
        jump = jump_behind(self._jumps, onset)
        more = {"onset_step": onset, "deviations": opened.evidence["deviations"]}
        more |= {} if jump is None else {RATE_JUMP: jump._asdict()}
        evidence = {**evidence, **more}
        return replace(opened, kind=Kind.DIVERGENCE, step=step, end_step=step, value=loss, evidence=evidence)

    def _trouble(self, standing_out: list[Incident]) -> Trouble:
        if not all(isfinite(incident.value) for incident in standing_out):
            return Trouble.NONFINITE
        return Trouble.LOSS if any(incident.key == self._loss_key for incident in standing_out) else Trouble.GRADIENT

    def _onset(self, incident: Incident) -> int:
        return max(incident.step, self._first)


def _is_slow(incident: Incident) -> bool:
    return bool(incident.evidence.get("slow"))


def _as_seen_now(opened: Incident | None, key: str, step: int, value: float) -> Incident:
    kind = Kind.SPIKE if isfinite(value) else Kind.NONFINITE
    if opened is None:
        return Incident(kind, step, step, value, nan, nan, key)
    return replace(opened, kind=kind, step=step, end_step=step, value=value, evidence={})
