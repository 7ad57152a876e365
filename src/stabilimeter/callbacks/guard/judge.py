"""Whether loss and gradient norm of a step are ordinary, by the rule of `stabilimeter.stats.detection`."""

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite, nan
from typing import Any

from stabilimeter.records import keys
from stabilimeter.stats import detection
from stabilimeter.stats.incident import Incident, Kind


class Judge:
    """The detectors of one optimizer: its loss as it is, its gradient norm by its logarithm.

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

    @property
    def is_calm(self) -> bool:
        """Whether no incident is open, not even a slow one that no single step shows."""
        return all(detection.finish(state) is None for state in self._states.values())

    def findings(self, step: int, *, loss: float | None, norm: float | None) -> list[Incident]:
        """What is out of the ordinary at this step, one incident of a single point per series; the loss first.

        Args:
            step: Number of the optimizer step.
            loss: Its loss; None if not known.
            norm: Norm of its gradients; None if there are none, or if they are not for us to judge.
        """
        found = []
        for key, value in ((self._loss_key, loss), (self._norm_key, norm)):
            if value is None:
                continue
            state, _ = detection.step(self._states[key], step, value)
            self._states[key] = state
            if state.flagged:
                found.append(_as_seen_now(state, key, step, value))
        return found

    def is_loss(self, finding: Incident) -> bool:
        """Whether a finding is about the loss."""
        return finding.key == self._loss_key

    def state_dict(self) -> dict[str, Any]:
        """Dictionaries, lists and numbers."""
        return {
            "loss": detection.plain(self._states[self._loss_key]),
            "norm": detection.plain(self._states[self._norm_key]),
        }

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go on from `state_dict`, under this judge's own alarm rate and names."""
        for key, name in ((self._loss_key, "loss"), (self._norm_key, "norm")):
            self._states[key] = detection.from_plain(saved[name])._replace(rule=self._states[key].rule)


def _as_seen_now(state: detection.State, key: str, step: int, value: float) -> Incident:
    kind = Kind.SPIKE if isfinite(value) else Kind.NONFINITE
    opened = detection.finish(state)
    if opened is None:
        return Incident(kind, step, step, value, nan, nan, key)
    return replace(opened, kind=kind, step=step, end_step=step, value=value, evidence={})
