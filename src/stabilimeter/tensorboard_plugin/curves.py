"""One signal of one group: the band across its seeds, and single seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from stabilimeter.analysis.summary import Band, RunSummary
from stabilimeter.records.run import Run, Series
from stabilimeter.stats.band import aligned, band_across_seeds
from stabilimeter.tensorboard_plugin.live_sweep import Snapshot
from stabilimeter.tensorboard_plugin.overview import seed_name, seed_state, why
from stabilimeter.tensorboard_plugin.polyline import plain, polyline
from stabilimeter.tensorboard_plugin.question import asked, asked_number

MAX_POINTS = 20_000
"""Points of all single seeds of one answer."""
MAX_POINTS_PER_SEED = 2_000
MAX_SEEDS = 24
"""More single seeds than this hide each other: then failed ones, and what the reader asks for."""


def answer(snapshot: Snapshot, arguments: Mapping[str, str]) -> dict[str, Any]:
    """The curves of ``tag`` in ``group``, between the steps ``from`` and ``to`` if these are given.

    Raises:
        QuestionError: if there is no such group, or a step is not a number.
    """
    group, own = snapshot.group(asked(arguments, "group"))
    tag, span = asked(arguments, "tag"), span_of(arguments)
    having = [
        (run, about) for run, about in zip(group.runs, own.runs, strict=True) if tag in run and about.copy_of is None
    ]
    series = [within(run[tag], span) for run, _ in having]
    chosen = _chosen(having, arguments.get("seed"))
    budget = min(MAX_POINTS_PER_SEED, MAX_POINTS // max(1, len(chosen)))
    lost_at = {seed.run.path: seed.lost_at for seed in snapshot.failed}
    band = own.bands.get(tag) if span is None else None
    if band is None and series:
        band = band_across_seeds(aligned([one.steps for one in series], [one.values for one in series]))
    return {
        "group": own.label,
        "tag": tag,
        "n_seeds": len(having),
        "band": None if band is None else _band(band),
        "seeds": [
            {
                "path": about.path,
                "name": seed_name(about),
                "state": seed_state(about),
                "why": why(about),
                "lost_at": lost_at.get(about.path),
                "last": _last_finite(series[index]),
                "curve": asdict(polyline(series[index], budget)),
                "incidents": [
                    {"step": incident.step, "kind": incident.kind.value, "shared": incident.shared}
                    for incident in about.incidents
                    if incident.key == tag and (span is None or span[0] <= incident.step <= span[1])
                ],
            }
            for index, (_, about) in enumerate(having)
            if index in chosen
        ],
        "others": [
            {"path": about.path, "name": seed_name(about)}
            for index, (_, about) in enumerate(having)
            if index not in chosen
        ],
    }


def span_of(arguments: Mapping[str, str]) -> tuple[float, float] | None:
    """The steps ``from`` and ``to``, if they were given."""
    if "from" not in arguments:
        return None
    return asked_number(arguments, "from"), asked_number(arguments, "to")


def within(series: Series, span: tuple[float, float] | None) -> Series:
    """The part of a series between two steps, both included."""
    if span is None:
        return series
    first, last = np.searchsorted(series.steps, span[0]), np.searchsorted(series.steps, span[1], side="right")
    return Series(series.steps[first:last], series.values[first:last])


def _chosen(having: Sequence[tuple[Run, RunSummary]], wanted: str | None) -> set[int]:
    """Which seeds to send one by one."""
    if len(having) <= MAX_SEEDS:
        return set(range(len(having)))
    failed = [index for index, (_, about) in enumerate(having) if about.failed]
    asked = [index for index, (_, about) in enumerate(having) if about.path == wanted]
    return {*asked, *failed[:MAX_SEEDS]}


def _last_finite(series: Series) -> dict[str, Any] | None:
    finite = np.flatnonzero(np.isfinite(series.values))
    if not finite.size:
        return None
    return {"step": int(series.steps[finite[-1]]), "value": float(series.values[finite[-1]])}


def _band(band: Band) -> dict[str, Any]:
    lines = {name: plain(getattr(band, name)) for name in ("mean", "low", "high", "min", "max")}
    return {"steps": band.steps.tolist(), "n": band.n.tolist(), **lines}
