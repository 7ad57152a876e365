"""What else happened around an incident: the learning rate was raised, other series had gone wrong before."""

from collections.abc import Mapping, Sequence
from typing import Any

from stabilimeter.stats.incident import Incident
from stabilimeter.stats.rate_jump import RATE_JUMP, RateJump, jump_behind, rate_jumps

BEFORE_STEPS = 50
"""How long before an incident another series must have gone wrong to be mentioned."""

_MOST_JUMPS = 20


class Circumstances:
    """Keeps the last jumps of the learning rate, and where each series last went wrong."""

    def __init__(self) -> None:
        self._rates: dict[str, float] = {}
        self._jumps: list[RateJump] = []
        self._onsets: dict[str, int] = {}

    def extend_rates(self, key: str, steps: Sequence[int], rates: Sequence[float]) -> None:
        """More learning rates of one optimizer."""
        self._jumps = [*self._jumps, *rate_jumps(steps, rates, self._rates.get(key))][-_MOST_JUMPS:]
        self._rates[key] = rates[-1]

    def note(self, incident: Incident) -> None:
        """An incident of a series is over, or going on."""
        self._onsets[incident.key] = incident.step

    def of(self, incident: Incident) -> Mapping[str, Any]:
        """Evidence: ``learning_rate_jump``, and ``moved_before``, the onsets of other series in the steps before."""
        found: dict[str, Any] = {}
        jump = jump_behind(self._jumps, incident.step)
        if jump is not None:
            found[RATE_JUMP] = jump._asdict()
        first = incident.step - BEFORE_STEPS
        before = {key: at for key, at in self._onsets.items() if key != incident.key and first <= at < incident.step}
        if before:
            found["moved_before"] = dict(sorted(before.items(), key=lambda item: item[1]))
        return found

    def state_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers."""
        return {"rates": self._rates, "jumps": [list(jump) for jump in self._jumps], "onsets": self._onsets}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        self._rates, self._onsets = dict(state["rates"]), dict(state["onsets"])
        self._jumps = [RateJump(*jump) for jump in state["jumps"]]
