"""Incidents on disk: one JSON object per line."""

import os
from dataclasses import fields
from pathlib import Path

from stabilimeter.records import strict_json
from stabilimeter.records.json_lines import parsed_lines, replaced
from stabilimeter.stats.incident import Incident, Kind

INCIDENTS_FILE = "incidents.jsonl"


def incident_line(incident: Incident) -> str:
    """``incident`` as one line of strict JSON, line end included."""
    return strict_json.dumps({item.name: getattr(incident, item.name) for item in fields(incident)}) + "\n"


def incident_text(incident: Incident) -> str:
    """``incident`` in a sentence of Markdown."""
    when = f"step {incident.step}"
    if incident.end_step != incident.step:
        when = f"steps {incident.step} to {incident.end_step}"
    expected = "" if incident.baseline != incident.baseline else f", expected {incident.baseline:.4g}"
    return f"**{incident.kind.value}** of `{incident.key}` at {when}: {incident.value:.4g}{expected}"


def read_incidents(path: str | os.PathLike[str]) -> tuple[tuple[Incident, ...], int | None]:
    """The incidents in a file, by step, and the byte offset of an unfinished last line (None if there is none).

    An incident that was told twice (before and after a resume) counts once, as told last.

    Raises:
        RecordError: if a line is not an incident; names the byte offset.
    """
    told, torn_at = parsed_lines(Path(path), _incident, "an incident")
    return _by_step({(incident.key, incident.kind, incident.step): incident for incident in told}), torn_at


def drop_incidents_from(path: str | os.PathLike[str], step: int) -> None:
    """Leave only the incidents that ended before ``step``; the file changes atomically or not at all."""
    path = Path(path)
    if not path.exists():
        return
    replaced(path, [incident_line(incident) for incident in read_incidents(path)[0] if incident.end_step < step])


def _by_step(found: dict[tuple[str, Kind, int], Incident]) -> tuple[Incident, ...]:
    return tuple(sorted(found.values(), key=lambda incident: incident.step))


def _incident(plain: dict[str, object]) -> Incident:
    known = {item.name: plain[item.name] for item in fields(Incident) if item.name in plain}
    incident = Incident(**{**known, "kind": Kind(plain["kind"])})  # type: ignore[arg-type]
    if not isinstance(incident.step, int) or not isinstance(incident.end_step, int):
        raise ValueError("its steps are not integers")
    return incident
