"""What a guard did about an incident, in words."""

from stabilimeter.records import keys
from stabilimeter.stats.incident import Incident

ACTIONS = {
    "warn": "warned only",
    "skip": "skipped the step",
    "rollback": "skipped the step and went back to the state after step {}",
    "stop": "skipped the step and stopped training",
}


def guard_action(incident: Incident) -> str | None:
    """What the guard did; None for an incident that is no action of a guard.

    >>> guard_action(Incident("spike", 7, 7, 9.0, 1.0, 0.1, "guard/skip", evidence={"series": "train/loss"}))
    'SpikeGuard skipped the step'
    """
    if not incident.key.startswith(keys.GUARD_PREFIX):
        return None
    action = incident.key.removeprefix(keys.GUARD_PREFIX)
    said = f"SpikeGuard {ACTIONS.get(action, action).format(incident.evidence.get('restored_step', 'that it kept'))}"
    steps = incident.end_step - incident.step + 1
    return said if steps == 1 else f"{said}, {steps} times in a row"


def subject(incident: Incident) -> str:
    """The series that an incident is about: for an action of a guard the one that it answered."""
    if guard_action(incident) is None:
        return incident.key
    return str(incident.evidence.get("series", incident.key))
