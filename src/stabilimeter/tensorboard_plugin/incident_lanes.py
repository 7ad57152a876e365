"""Incidents of every seed on its lane, and the signals around one of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from stabilimeter.analysis.first_movers import FailedSeed
from stabilimeter.analysis.roles import Roles, roles_in
from stabilimeter.analysis.summary import GroupSummary, RunSummary
from stabilimeter.present.guard_action import guard_action, subject
from stabilimeter.present.ranking import named_groups
from stabilimeter.present.wording import count, incident_in_words, listed, number, printable, size_in_noise
from stabilimeter.present.worst import GRAVITY
from stabilimeter.records import keys
from stabilimeter.records.run import Run
from stabilimeter.stats.incident import Incident
from stabilimeter.tensorboard_plugin.curves import within
from stabilimeter.tensorboard_plugin.overview import mover_in_words, seed_name, seed_state, why
from stabilimeter.tensorboard_plugin.polyline import polyline
from stabilimeter.tensorboard_plugin.question import QuestionError, asked, asked_number
from stabilimeter.tensorboard_plugin.snapshot import Snapshot

MAX_EVENTS = 150
"""Of one lane; the gravest and then the largest come first."""
GUARD = "guard"
"""What the tab calls what a guard did about an incident: no kind of incident, but an answer to one."""
POINTS_AROUND = 60
"""Points of the signal itself on each side of an incident."""
MAX_POINTS = 2_000
MAX_ACTIONS = 3


def answer(snapshot: Snapshot, arguments: Mapping[str, str]) -> dict[str, Any]:
    """A lane for each seed: how far it came, its incidents, and where it was lost; groups with failed seeds first."""
    failed = {seed.run.path: seed for seed in snapshot.failed}
    named, _ = named_groups(snapshot.summary)
    ordered = sorted(named, key=lambda pair: -pair[1].n_failed)
    lanes = [_lane(label, group, run, failed.get(run.path)) for label, group in ordered for run in group.runs]
    return {
        "lanes": lanes,
        "kinds": [*(kind.value for kind in GRAVITY), GUARD],
        "last_step": max((lane["last_step"] or 0 for lane in lanes), default=0),
        "n_incidents": sum(lane["n_incidents"] for lane in lanes),
    }


def window_answer(snapshot: Snapshot, arguments: Mapping[str, str]) -> dict[str, Any]:
    """The signals of ``run`` around its incident number ``incident``, or around the step where it was lost.

    Raises:
        QuestionError: if there is no such run or incident.
    """
    own, run, about = snapshot.run(asked(arguments, "run"))
    runs = snapshot.group(own.label)[0].runs
    roles = roles_in(runs)
    failed = next((seed for seed in snapshot.failed if seed.run.path == about.path), None)
    incident = None
    if "incident" in arguments:
        index = asked_number(arguments, "incident")
        if index not in range(len(about.incidents)):
            raise QuestionError(f"{about.path} has no incident {arguments['incident']}")
        incident = about.incidents[int(index)]
        start, end, key = incident.step, incident.end_step, subject(incident)
    elif failed is not None and failed.lost_at is not None:
        start = end = failed.lost_at
        key = next((mover.key for mover in failed.movers if mover.step == start), roles.train_loss or "")
    else:
        raise QuestionError(f"{about.path} has neither an incident there nor a step where it was lost")
    span = _span(run, key, start, end)
    shown = [tag for tag in _signals(roles, own, key) if tag in run]
    return {
        "path": about.path,
        "name": seed_name(about),
        "group": own.label,
        "title": _title(incident, about, start),
        "step": start,
        "end_step": min(end, span[1]),
        "span": span,
        "facts": _facts(incident, about, failed),
        "order": _order(about, failed, start, span),
        "signals": [{"tag": tag, "curve": asdict(polyline(within(run[tag], span), MAX_POINTS))} for tag in shown],
    }


def _lane(label: str, group: GroupSummary, run: RunSummary, failed: FailedSeed | None) -> dict[str, Any]:
    ranked = sorted(range(len(run.incidents)), key=lambda index: _rank(run.incidents[index]))
    events = [
        {
            "index": index,
            "kind": _kind(run.incidents[index]),
            "key": printable(run.incidents[index].key),
            "step": run.incidents[index].step,
            "end_step": run.incidents[index].end_step,
            "shared": run.incidents[index].shared,
            "words": f"{printable(run.incidents[index].key)} {incident_in_words(run.incidents[index])}",
        }
        for index in sorted(ranked[:MAX_EVENTS])
    ]
    return {
        "group": label,
        "path": run.path,
        "name": seed_name(run),
        "state": seed_state(run),
        "why": why(run),
        "last_step": run.last_step,
        "lost_at": None if failed is None else failed.lost_at,
        "movers": [] if failed is None else [mover_in_words(mover, failed.reference) for mover in failed.movers],
        "n_incidents": len(run.incidents),
        "events": events,
    }


def _kind(incident: Incident) -> str:
    return incident.kind.value if guard_action(incident) is None else GUARD


def _rank(incident: Incident) -> tuple[int, float]:
    size = size_in_noise(incident)
    return GRAVITY.index(incident.kind), -size if size == size else 0.0


def _signals(roles: Roles, own: GroupSummary, key: str) -> list[str]:
    """What to look at: what it happened to, the loss, norms, update size, learning rate, and the primary metric."""
    wanted = (key, roles.train_loss, roles.grad_norm, keys.UPDATE_RATIO, keys.OPTIM_LR, own.primary_metric)
    return list(dict.fromkeys(tag for tag in wanted if tag))


def _span(run: Run, key: str, start: int, end: int) -> tuple[int, int]:
    steps = run[key].steps if key in run else np.empty(0, dtype=np.int64)
    spacing = float(np.median(np.diff(steps))) if steps.size > 1 else 1.0
    # A seed that never came back would squeeze its beginning into nothing.
    length = min(end - start, 4 * POINTS_AROUND * spacing)
    around = POINTS_AROUND * spacing
    return max(0, round(start - around)), round(start + length + around)


def _title(incident: Incident | None, about: RunSummary, start: int) -> str:
    if incident is None:
        return f"{seed_name(about)} was lost at step {start}: {printable(about.failure_reason or '')}"
    return f"{seed_name(about)}, step {start}: {printable(incident.key)} {incident_in_words(incident)}"


def _facts(incident: Incident | None, about: RunSummary, failed: FailedSeed | None) -> list[dict[str, str]]:
    """What is known besides, as names and values."""
    facts: dict[str, str] = {}
    if incident is not None:
        facts["kind"] = incident.kind.value
        actions = [incident, *(other for other in about.incidents if _answers(other, incident))]
        facts["action taken"] = listed([action for one in actions if (action := guard_action(one))], MAX_ACTIONS)
        if incident.shared:
            facts["shared"] = "the same step stands out in several seeds: data or schedule"
        if incident.end_step > incident.step:
            facts["steps"] = f"{incident.step} to {incident.end_step}"
        for name, value in incident.evidence.items():
            if guard_action(incident) is not None and name in ("action", "series"):
                continue  # said already
            facts[printable(str(name)).replace("_", " ")] = _in_words(value)
    if about.failed:
        facts["how the seed ended"] = why(about)
    if failed is not None and failed.reference is not None and failed.movers:
        facts["compared with"] = count(failed.n_healthy, "healthy seed")
    return [{"name": name, "value": value} for name, value in facts.items() if value]


def _answers(action: Incident, incident: Incident) -> bool:
    """Whether one incident is what a guard did about the other."""
    return (
        guard_action(action) is not None
        and action is not incident
        and subject(action) == incident.key
        and action.step <= incident.end_step
        and incident.step <= action.end_step
    )


def _order(about: RunSummary, failed: FailedSeed | None, start: int, span: tuple[int, int]) -> list[dict[str, Any]]:
    """What happened around in this seed, first things first, with the distance in steps."""
    found: list[tuple[int, str, str, int | None]] = [
        (incident.step, printable(incident.key), incident_in_words(incident), index)
        for index, incident in enumerate(about.incidents)
        if span[0] <= incident.step <= span[1]
    ]
    if failed is not None and failed.reference is not None:
        words = [(mover.step, mover_in_words(mover, failed.reference)) for mover in failed.movers]
        left = "left the range of the healthy seeds"
        found += [(step, said["key"], f"{left}: {said['size']}", None) for step, said in words]
    ordered = sorted(found, key=lambda entry: entry[:3])[:MAX_EVENTS]
    return [
        {"step": step, "lead": step - start, "key": key, "words": words, "incident": index}
        for step, key, words, index in ordered
    ]


def _in_words(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{printable(str(name))} {_in_words(one)}" for name, one in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_in_words(one) for one in value)
    return printable(str(value))
