"""The evaluations of each seed of a group, and the judged checkpoints of one of them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from stabilimeter.present.wording import better_when, number
from stabilimeter.tensorboard_plugin.course import course_of
from stabilimeter.tensorboard_plugin.overview import seed_name, seed_state, why
from stabilimeter.tensorboard_plugin.polyline import polyline
from stabilimeter.tensorboard_plugin.question import QuestionError, asked
from stabilimeter.tensorboard_plugin.snapshot import Snapshot

MAX_POINTS = 1_000
MAX_SEEDS = 24


def answer(snapshot: Snapshot, arguments: Mapping[str, str]) -> dict[str, Any]:
    """Evaluations of the primary metric in ``group``; verdicts, flips and slices of its run ``run``, where recorded.

    Without ``run`` the one with the most evaluations that were worse beyond noise is shown.

    Raises:
        QuestionError: if there is no such group, or it has no primary metric of known direction.
    """
    group, own = snapshot.group(asked(arguments, "group"))
    tag = own.primary_metric
    mode = own.metrics[tag].mode if tag is not None and tag in own.metrics else None
    if tag is None or mode is None:
        raise QuestionError("this group has no primary metric whose better direction is known")
    rows: list[dict[str, Any]] = []
    for run, about in zip(group.runs, own.runs, strict=True):
        metric = about.metrics.get(tag)
        if metric is None or about.copy_of is not None:
            continue
        rows.append(
            {
                "path": about.path,
                "name": seed_name(about),
                "state": seed_state(about),
                "why": why(about),
                "best": number(metric.best),
                "best_value": metric.best,
                "best_step": metric.best_step,
                "final": number(metric.final),
                "n_points": metric.n_points,
                "n_nonfinite": metric.n_nonfinite,
                "regression": number(about.scores.get("checkpoint_regression"), 2),
                "curve": asdict(polyline(run[tag], MAX_POINTS)) if len(rows) < MAX_SEEDS else None,
            }
        )
    courses = {
        about.path: course
        for run, about in zip(group.runs, own.runs, strict=True)
        if about.copy_of is None and (course := course_of(run)) is not None
    }
    worst = max(courses, key=lambda path: courses[path]["n_worse"], default=None)
    shown = arguments.get("run", worst)
    return {
        "group": own.label,
        "tag": tag,
        "mode": better_when(mode),
        "rows": rows,
        "judged": [
            {"path": about.path, "name": seed_name(about), "state": seed_state(about)}
            for about in own.runs
            if about.path in courses
        ],
        "run": shown if shown in courses else worst,
        "course": courses.get(shown if shown in courses else worst or ""),
    }
