"""A seed that leaves the range of its siblings, as an incident that lasts as long as it does."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from stabilimeter.stats.incident import Incident, Kind

KEY_PREFIX = "seeds/"
"""An outlier of ``train/loss`` is an incident of the series ``seeds/train/loss``: it is no loss spike."""


class SeedOutliers:
    """Judges one series after the other at one step after the other, and keeps the incidents that go on.

    Args:
        alarm_rate: Chance, per judged step and series, that a seed like its siblings is called an outlier.

    Attributes:
        judged: How many steps of each series were judged so far.
    """

    def __init__(self, alarm_rate: float) -> None:
        self._alarm_rate = alarm_rate
        self._open: dict[str, Incident] = {}
        self.judged: dict[str, int] = {}

    def judge(self, key: str, finding: Incident, p: float) -> tuple[Incident | None, bool]:
        """Judge a series at a step.

        Args:
            key: Name of the series.
            finding: The incident that this step is, if it is one.
            p: Chance that a seed like its siblings lies as far out.

        Returns:
            An incident that should be told (again), as it stands now, and whether it is new.
        """
        self.judged[key] = self.judged.get(key, 0) + 1
        before = self._open.get(key)
        if p > self._alarm_rate:
            return self._open.pop(key, None), False
        evidence = {**finding.evidence, "p": p, "alarm_rate": self._alarm_rate, "judged_steps": self.judged[key]}
        if before is None:
            self._open[key] = replace(finding, evidence=evidence)
            return self._open[key], True
        worse = p <= before.evidence["p"]
        self._open[key] = (
            replace(finding, step=before.step, evidence=evidence) if worse else replace(before, end_step=finding.step)
        )
        return None, False

    def going_on(self) -> list[Incident]:
        """The incidents that are not over."""
        return list(self._open.values())

    def state_dict(self) -> dict[str, Any]:
        """Everything, as plain dictionaries, numbers and texts."""
        plain = {
            key: {item.name: getattr(incident, item.name) for item in fields(incident)} | {"kind": incident.kind.value}
            for key, incident in self._open.items()
        }
        return {"open": plain, "judged": dict(self.judged)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        self._open = {
            key: Incident(**{**incident, "kind": Kind(incident["kind"])}) for key, incident in state["open"].items()
        }
        self.judged = dict(state["judged"])
