"""Incidents as they happen: every watched series goes through `stabilimeter.stats.detection`, value by value."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from stabilimeter.stats import detection
from stabilimeter.stats.incident import Incident, Kind

Evidence = Callable[[int], Mapping[str, Any]]
"""What is known of the i-th value of a block, as plain JSON values."""


class Watch:
    """The detectors of a run.

    Attributes:
        first_nonfinite: Key and step of the first non-finite value of the run, once there was one.
    """

    def __init__(self) -> None:
        self._states: dict[str, detection.State] = {}
        self._without_direction: set[str] = set()
        self._evidence: dict[str, tuple[int, dict[str, Any]]] = {}
        self.first_nonfinite: tuple[str, int] | None = None

    def extend(
        self,
        key: str,
        steps: Sequence[int],
        values: Sequence[float],
        evidence: Evidence,
        *,
        mode: str | None = "min",
        positive: bool = False,
        beside: Sequence[float | None] | None = None,
    ) -> list[Incident]:
        """Judge more values of one series.

        Args:
            key: Name of the series.
            steps: Step of each value.
            values: The values, in the same order.
            evidence: What to attach to an incident that begins at the i-th value; asked only then.
            mode: ``"min"`` if high values are bad, ``"max"`` if low ones are; None if nobody knows, so that only
                non-finite values are incidents.
            positive: Judge logarithms.
            beside: A magnitude measured with each value, None where it was not: a turn for the worse that both show is
                found earlier.

        Returns:
            The incidents that these values brought to an end.
        """
        state = self._states.get(key)
        if state is None:
            state = detection.start(mode=mode or "both", positive=positive, key=key)
            if mode is None:
                self._without_direction.add(key)
        incidents: list[Incident] = []
        at = 0
        while at < len(values):
            before = state.onset
            state, ended, at = detection.onward(state, steps, values, at, beside)
            incidents += self._told(ended)
            if state.onset is not None and state.onset != before:
                noticed = steps[at - 1]
                later = {} if noticed == state.onset else {"noticed_step": noticed}
                self._evidence[key] = (state.onset, {**evidence(at - 1), **later})
                if state.episode is not None and not state.episode.finite and self.first_nonfinite is None:
                    self.first_nonfinite = (key, noticed)
        self._states[key] = state
        return incidents

    def finish(self) -> list[Incident]:
        """The incidents that are still open at the end of the run."""
        return [told for key in self._states if (told := self.going_on(key)) is not None]

    def going_on(self, key: str) -> Incident | None:
        """The incident of one series that is not over, as it looks now."""
        state = self._states.get(key)
        return None if state is None else next(iter(self._told(detection.finish(state))), None)

    def state_dict(self) -> dict[str, Any]:
        """Everything, as plain dictionaries, lists, numbers and texts."""
        return {
            "states": {key: detection.plain(state) for key, state in self._states.items()},
            "without_direction": sorted(self._without_direction),
            "evidence": self._evidence,
            "first_nonfinite": self.first_nonfinite,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        self._states = {key: detection.from_plain(plain) for key, plain in state["states"].items()}
        self._without_direction = set(state["without_direction"])
        self._evidence = dict(state["evidence"])
        self.first_nonfinite = state["first_nonfinite"]

    def _told(self, incident: Incident | None) -> list[Incident]:
        """``incident`` with its evidence; nothing if there is none, or if nobody can tell whether it is bad."""
        if incident is None or (incident.key in self._without_direction and incident.kind is not Kind.NONFINITE):
            return []
        step, evidence = self._evidence.get(incident.key, (None, {}))
        if step != incident.step:  # a slow drift is noticed long after it began
            return [incident]
        return [replace(incident, evidence={**incident.evidence, **evidence})]
