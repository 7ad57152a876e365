"""Which incidents of a sweep to name first."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from stabilimeter.analysis.roles import is_loss, is_validation
from stabilimeter.analysis.summary import GroupSummary, RunSummary
from stabilimeter.present.wording import size_in_noise
from stabilimeter.stats.incident import Incident, Kind

GRAVITY = (
    *(Kind.DIVERGENCE, Kind.NONFINITE, Kind.COLLAPSE, Kind.SHIFT, Kind.EXCURSION, Kind.SPIKE),
    Kind.OUTLIER_SEED,
)
"""Kinds of incident, the gravest first."""


@dataclass(frozen=True)
class WorstOfKind:
    """All incidents of one kind in one series of a group, and the worst of them.

    Attributes:
        group: The group.
        worst: The largest against the noise, the first on ties.
        struck: The runs that ``worst`` struck: one, or several if it is shared.
        n_events: Incidents of this kind; a shared one counts once.
        n_seeds: Runs that had any of them.
    """

    group: GroupSummary
    worst: Incident
    struck: tuple[RunSummary, ...]
    n_events: int
    n_seeds: int


def worst_incidents(groups: Sequence[GroupSummary]) -> list[WorstOfKind]:
    """The incidents of a sweep, one entry per group, kind and series, gravest first.

    Losses and validation metrics, which the score is about, come before other signals; then by kind, then by size. One
    entry per kind, because fifty spikes of one seed must not hide the divergence of another.
    """
    entries = []
    for group in groups:
        hits: dict[tuple[Kind, str], list[tuple[RunSummary, Incident]]] = defaultdict(list)
        for run in group.runs:
            for incident in run.incidents:
                hits[incident.kind, incident.key].append((run, incident))
        entries += [_entry(group, pairs) for pairs in hits.values()]
    return sorted(entries, key=lambda entry: _rank(entry.worst))


def _rank(incident: Incident) -> tuple[bool, int, float]:
    is_result = is_loss(incident.key) or is_validation(incident.key)
    return not is_result, GRAVITY.index(incident.kind), -_size(incident)


def _entry(group: GroupSummary, hits: list[tuple[RunSummary, Incident]]) -> WorstOfKind:
    run, worst = max(hits, key=lambda hit: (_size(hit[1]), -hit[1].step))
    struck = [run]
    if worst.shared:
        struck = [other for other, incident in hits if incident.shared and incident.step == worst.step]
    shared_steps = {incident.step for _, incident in hits if incident.shared}
    alone = [incident for _, incident in hits if not incident.shared]
    n_seeds = len({other.path for other, _ in hits})
    return WorstOfKind(group, worst, tuple(struck), len(alone) + len(shared_steps), n_seeds)


def _size(incident: Incident) -> float:
    """Size for ordering: an unknown one is the smallest."""
    size = size_in_noise(incident)
    return -math.inf if math.isnan(size) else size
