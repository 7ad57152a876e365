"""One signal of one group: the band across its seeds, and single seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stabilimeter.analysis.summary import Band, RunSummary
from stabilimeter.records.run import Run, Series
from stabilimeter.stats.alignment import aligned
from stabilimeter.stats.band import band_across_seeds
from stabilimeter.stats.smoothing import exponential_mean
from stabilimeter.tensorboard_plugin.clock import Clock, has_clock
from stabilimeter.tensorboard_plugin.overview import seed_name, seed_state, why
from stabilimeter.tensorboard_plugin.polyline import plain, polyline
from stabilimeter.tensorboard_plugin.question import QuestionError, asked, asked_number
from stabilimeter.tensorboard_plugin.snapshot import Snapshot

MAX_POINTS = 20_000
"""Points of all single seeds of one answer."""
MAX_POINTS_PER_SEED = 2_000
MAX_SEEDS = 24
"""More single seeds than this hide each other: then failed ones, and what the reader asks for."""
CENTRES = ("mean", "median")
BANDS = ("range", "interval", "sd", "quartiles", "none")
AXES = ("step", "time")


@dataclass(frozen=True, eq=False)
class _Seed:
    """One seed with what is shown of it; ``x`` are the places of the points on the axis."""

    run: Run
    about: RunSummary
    series: Series
    x: NDArray[np.int64] | NDArray[np.float64]
    clock: Clock | None

    def place(self, step: int | None) -> float | None:
        """Where a step lies on the axis."""
        if step is None or self.clock is None:
            return step
        return float(self.clock.at(np.array([step]))[0])


def answer(snapshot: Snapshot, arguments: Mapping[str, str]) -> dict[str, Any]:
    """The curves of ``tag`` in ``group``.

    Optional arguments: ``axis`` (see `AXES`; on the time axis every ``step`` of the answer is in seconds of training),
    ``from`` and ``to`` in its unit, ``smooth`` (half-life as a share of the run, in (0, 1)), ``line`` (see `CENTRES`),
    ``band`` (see `BANDS`), ``seed`` (path of one more seed to show).

    Raises:
        QuestionError: if there is no such group, or an argument is not one of the above.
    """
    group, own = snapshot.group(asked(arguments, "group"))
    tag, span, smooth = asked(arguments, "tag"), span_of(arguments), _smooth(arguments)
    in_time = _one_of(AXES, arguments, "axis") == "time"
    centre, edges = _one_of(CENTRES, arguments, "line"), _one_of(BANDS, arguments, "band")
    having = [
        _seed(run, run[tag], about, span, smooth, in_time=in_time)
        for run, about in zip(group.runs, own.runs, strict=True)
        if tag in run and about.copy_of is None and (not in_time or has_clock(run))
    ]
    chosen = _chosen(having, arguments.get("seed"))
    budget = min(MAX_POINTS_PER_SEED, MAX_POINTS // max(1, len(chosen)))
    lost_at = {seed.run.path: seed.lost_at for seed in snapshot.failed}
    band = own.bands.get(tag) if span is None and smooth is None and len(having) == len(own.runs) else None
    if band is None and having:
        series = [seed.series for seed in having]
        band = band_across_seeds(aligned([one.steps for one in series], [one.values for one in series]))
    return {
        "group": own.label,
        "tag": tag,
        "n_seeds": len(having),
        "band": None if band is None else _band(band, having, centre, edges),
        "seeds": [
            _single(seed, tag, budget, lost_at.get(seed.about.path))
            for index, seed in enumerate(having)
            if index in chosen
        ],
        "others": [
            {"path": seed.about.path, "name": seed_name(seed.about)}
            for index, seed in enumerate(having)
            if index not in chosen
        ],
    }


def span_of(arguments: Mapping[str, str]) -> tuple[float, float] | None:
    """The places ``from`` and ``to`` on the axis, if they were given."""
    if "from" not in arguments:
        return None
    return asked_number(arguments, "from"), asked_number(arguments, "to")


def within(series: Series, span: tuple[float, float] | None, x: NDArray[Any] | None = None) -> Series:
    """The part of a series between two places on the axis, both included; ``x`` are its places, default its steps."""
    if span is None:
        return series
    places = series.steps if x is None else x
    first, last = np.searchsorted(places, span[0]), np.searchsorted(places, span[1], side="right")
    return Series(series.steps[first:last], series.values[first:last])


def _smooth(arguments: Mapping[str, str]) -> float | None:
    if "smooth" not in arguments:
        return None
    share = asked_number(arguments, "smooth")
    if not 0 < share < 1:
        raise QuestionError(f"smooth must be a share of the run in (0, 1), got {share:g}")
    return share


def _one_of(choices: Sequence[str], arguments: Mapping[str, str], name: str) -> str:
    """A choice; the first if the request says nothing."""
    chosen = arguments.get(name, choices[0])
    if chosen not in choices:
        raise QuestionError(f"{name} must be one of {', '.join(choices)}, got {chosen!r}")
    return chosen


def _seed(
    run: Run,
    series: Series,
    about: RunSummary,
    span: tuple[float, float] | None,
    smooth: float | None,
    *,
    in_time: bool,
) -> _Seed:
    if smooth is not None:  # before anything is cut or thinned
        half_life = max(1.0, smooth * series.values.size)
        series = replace(series, values=exponential_mean(series.values, half_life))
    clock = Clock(run) if in_time else None
    shown = within(series, span, None if clock is None else clock.at(series.steps))
    return _Seed(run, about, shown, shown.steps if clock is None else clock.at(shown.steps), clock)


def _chosen(having: Sequence[_Seed], wanted: str | None) -> set[int]:
    """Which seeds to send one by one."""
    if len(having) <= MAX_SEEDS:
        return set(range(len(having)))
    failed = [index for index, seed in enumerate(having) if seed.about.failed]
    asked = [index for index, seed in enumerate(having) if seed.about.path == wanted]
    return {*asked, *failed[:MAX_SEEDS]}


def _single(seed: _Seed, tag: str, budget: int, lost_at: int | None) -> dict[str, Any]:
    drawn = polyline(seed.series, budget)
    if seed.clock is not None:
        steps, gaps = np.array(drawn.steps, dtype=np.int64), np.array(drawn.gaps, dtype=np.int64)
        drawn = replace(drawn, steps=seed.clock.at(steps).tolist(), gaps=seed.clock.at(gaps).tolist())
    finite = np.flatnonzero(np.isfinite(seed.series.values))
    first, last = (seed.series.steps[0], seed.series.steps[-1]) if seed.series.steps.size else (0, -1)
    return {
        "path": seed.about.path,
        "name": seed_name(seed.about),
        "state": seed_state(seed.about),
        "why": why(seed.about),
        "lost_at": seed.place(lost_at),
        "last": None
        if not finite.size
        else {"step": seed.x[finite[-1]].item(), "value": float(seed.series.values[finite[-1]])},
        "curve": asdict(drawn),
        "incidents": [
            {"step": seed.place(incident.step), "kind": incident.kind.value, "shared": incident.shared}
            for incident in seed.about.incidents
            if incident.key == tag and first <= incident.step <= last
        ],
    }


def _band(band: Band, having: Sequence[_Seed], centre: str, edges: str) -> dict[str, Any]:
    """The line, its edges if any, and the number of seeds at each step."""
    steps: NDArray[Any] = band.steps
    clocks = [seed.clock for seed in having if seed.clock is not None]
    if clocks:  # seeds are as far at a step as they are on average in time
        steps = np.mean([clock.at(band.steps) for clock in clocks], axis=0).round(4)
    around = {
        "range": (band.min, band.max),
        "interval": (band.low, band.high),
        "sd": (band.mean - band.sd, band.mean + band.sd),
        "quartiles": (band.q25, band.q75),
    }
    lower, upper = around.get(edges, (None, None))
    return {
        "steps": steps.tolist(),
        "n": band.n.tolist(),
        "line": plain(band.mean if centre == "mean" else band.median),
        "lower": None if lower is None else plain(lower),
        "upper": None if upper is None else plain(upper),
    }
