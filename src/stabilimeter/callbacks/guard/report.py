"""What the guard has done: said on the terminal, kept in the run's record."""

import logging
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

from stabilimeter.callbacks.guard.ladder import Rung
from stabilimeter.records import keys
from stabilimeter.records.incident_log import INCIDENTS_FILE, incident_line
from stabilimeter.records.manifest import MANIFEST_FILE, RECORD_DIR
from stabilimeter.stats.incident import Incident

_logger = logging.getLogger(__name__)
_MOST_ACTIONS = 100
_DONE = {
    Rung.WARN: "nothing done",
    Rung.SKIP: "step skipped",
    Rung.ROLLBACK: "step skipped, going back to the state after {} steps",
    Rung.STOP: "step skipped, training stopped",
}


class Report:
    """Tells rank 0's user, and the record of a `StabilityMonitor` in ``folder`` if there is one.

    The same answer to several steps in a row is one action. It is told when it has lasted 1, 2, 4, 8, ... steps and
    when it is over, so that a hopeless run floods neither terminal nor record. In the record a later telling replaces
    the earlier one.

    Args:
        folder: Folder of the run; None to keep nothing.
        is_global_zero: Whether this is rank 0.

    Attributes:
        actions: The last actions, oldest first. ``evidence["steps"]`` is the number of steps that each took in.
    """

    def __init__(self, folder: Path | None, is_global_zero: bool) -> None:
        self._folder = folder
        self._is_global_zero = is_global_zero
        self._is_told = True
        self.actions: deque[Incident] = deque(maxlen=_MOST_ACTIONS)

    def enter(self, finding: Incident, rung: Rung, evidence: dict[str, Any]) -> str:
        """Keep one action, and say it in a sentence.

        Args:
            finding: What was out of the ordinary.
            rung: What was done about it.
            evidence: What else is known of the step, as plain JSON values; ``restored_step`` for a rollback. That of
                a finding is kept as well; with an ``onset_step`` it is one that has been going on since then.
        """
        key = f"{keys.GUARD_PREFIX}{rung.value}"
        last = self.actions[-1] if self.actions else None
        goes_on = last is not None and (last.key, last.kind, last.end_step + 1) == (key, finding.kind, finding.step)
        if last is not None and goes_on and last.evidence["series"] == finding.key:
            count = last.evidence["steps"] + 1
            action = replace(last, end_step=finding.step, evidence={**last.evidence, "steps": count})
            self.actions[-1] = action
        else:
            self.close()
            count = 1
            more = {"action": rung.value, "series": finding.key, "steps": count, **finding.evidence, **evidence}
            action = replace(finding, key=key, evidence=more)
            self.actions.append(action)
        expected = "" if finding.baseline != finding.baseline else f" ({finding.baseline:.4g} expected)"
        onset = finding.evidence.get("onset_step")
        since = "" if onset is None else f" and has been getting worse since step {onset}"
        done = _DONE[rung].format(evidence.get("restored_step"))
        sentence = f"step {finding.step}: {finding.key} is {finding.value:.4g}{expected}{since}: {done}"
        self._is_told = count & (count - 1) == 0
        if self._is_told and self._is_global_zero:
            _logger.warning("SpikeGuard: %s%s", sentence, f", {count} in a row" if count > 1 else "")
            self._record(action)
        return sentence

    def close(self) -> None:
        """The last action is over."""
        if not self._is_told and self._is_global_zero:
            action = self.actions[-1]
            steps = action.evidence["steps"]
            _logger.warning("SpikeGuard: until step %d: the same, %d in a row", action.end_step, steps)
            self._record(action)
        self._is_told = True

    def _record(self, action: Incident) -> None:
        if self._folder is None or not (self._folder / RECORD_DIR / MANIFEST_FILE).is_file():
            return
        with (self._folder / RECORD_DIR / INCIDENTS_FILE).open("ab") as file:
            file.write(incident_line(action).encode())
