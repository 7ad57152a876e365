"""One signal of one group as a small picture in SVG: range and mean of its seeds, failed ones in another colour."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from stabilimeter.present.report_parts import Line, SeedChart
from stabilimeter.stats.band import Band, thinned
from stabilimeter.stats.decimation import extremes

WIDTH, HEIGHT = 340, 190
LEFT, RIGHT, TOP, BOTTOM = 56, 10, 10, 22
MAX_POINTS = 240
LOG_FROM = 100.0
"""A positive signal whose largest value is this many times its smallest is drawn on a log axis."""
_LARGEST = 1e300
_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Axes:
    first: float
    last: float
    low: float
    high: float
    is_log: bool

    def x(self, step: float) -> float:
        share = (step - self.first) / (self.last - self.first) if self.last > self.first else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        scaled = math.log10(max(value, 10**self.low)) if self.is_log else value
        share = (scaled - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - min(1.0, max(0.0, share)) * (HEIGHT - TOP - BOTTOM)


def draw(chart: SeedChart) -> str:
    """The picture as an SVG element; classes give the colours. Says so where there is nothing to draw."""
    band = None if chart.band is None else thinned(chart.band, MAX_POINTS)
    values = _finite([line.values for line in chart.lines] + ([band.min, band.max] if band is not None else []))
    name = escape(chart.title, quote=True)
    opening = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name} over steps">'
    if not values.size:
        return f'{opening}<text class="tick" x="{LEFT}" y="{HEIGHT / 2:g}">no finite value</text></svg>'
    steps = [line.steps for line in chart.lines] + ([band.steps] if band is not None else [])
    axes = _axes(steps, values)
    parts = [opening, *_grid(axes)]
    if band is not None:
        parts += _band(axes, band)
    for line in sorted(chart.lines, key=lambda line: line.is_failed):
        parts += _line(axes, line)
    return "".join([*parts, "</svg>"])


def _finite(arrays: Sequence[_Floats]) -> _Floats:
    together = np.concatenate([*arrays, np.empty(0)])
    kept: _Floats = together[np.isfinite(together) & (np.abs(together) < _LARGEST)]
    return kept


def _axes(steps: Sequence[NDArray[np.int64]], values: _Floats) -> _Axes:
    low, high = float(values.min()), float(values.max())
    is_log = low > 0 and high / low >= LOG_FROM
    if is_log:
        low, high = math.log10(low), math.log10(high)
    margin = 0.05 * (high - low) or 0.5 * abs(low) or 0.5
    some = [own for own in steps if own.size]
    return _Axes(
        min(float(own[0]) for own in some), max(float(own[-1]) for own in some), low - margin, high + margin, is_log
    )


def _grid(axes: _Axes) -> Iterator[str]:
    for tick in _ticks(axes):
        value = 10**tick if axes.is_log else tick
        y = axes.y(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        text = f"{value:.0e}" if axes.is_log and not 1e-3 <= value < 1e5 else f"{value:.6g}"
        yield f'<text class="tick" x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
    for step, anchor in ((axes.first, "start"), (axes.last, "end")):
        text = f"step {step:.0f}" if anchor == "end" else f"{step:.0f}"
        yield f'<text class="tick" x="{axes.x(step):.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{text}</text>'


def _ticks(axes: _Axes) -> list[float]:
    """Round values, three to six of them; exponents on a log axis."""
    span = axes.high - axes.low
    unit = 10.0 ** math.floor(math.log10(span / 3))
    width = next(unit * factor for factor in (1, 2, 5, 10) if span / (unit * factor) <= 5)
    if axes.is_log:
        width = max(1.0, round(width))
    first = math.ceil(axes.low / width)
    ticks = [index * width for index in range(first, math.floor(axes.high / width) + 1)]
    return ticks or [(axes.low + axes.high) / 2]


def _band(axes: _Axes, band: Band) -> Iterator[str]:
    known = np.isfinite(band.min) & np.isfinite(band.max)
    for start, end in _stretches(known):
        own = slice(start, end)
        upper = [_point(axes, *pair) for pair in zip(band.steps[own], band.max[own], strict=True)]
        lower = [_point(axes, *pair) for pair in zip(band.steps[own], band.min[own], strict=True)]
        yield f'<polygon class="range" points="{" ".join([*upper, *reversed(lower)])}"/>'
    yield from _path(axes, band.steps, band.mean, "mean")


def _line(axes: _Axes, line: Line) -> Iterator[str]:
    kept = extremes(line.values, MAX_POINTS)
    yield from _path(axes, line.steps[kept], line.values[kept], "failed" if line.is_failed else "seed", line.name)
    finite = np.flatnonzero(np.isfinite(line.values))
    if not line.is_failed or not finite.size or (line.lost_at is not None and line.lost_at > line.steps[-1]):
        return
    at = finite[-1]
    if line.lost_at is not None:
        at = finite[max(0, int(np.searchsorted(line.steps[finite], line.lost_at, side="right")) - 1)]
    x, y = axes.x(float(line.steps[at])), axes.y(float(line.values[at]))
    what = f"{line.name} lost at step {line.lost_at}" if line.lost_at is not None else f"{line.name} failed"
    yield f'<path class="lost" d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"><title>{escape(what)}</title></path>'


def _path(axes: _Axes, steps: NDArray[np.int64], values: _Floats, kind: str, name: str = "") -> Iterator[str]:
    title = f"<title>{escape(name)}</title>" if name else ""
    for start, end in _stretches(np.isfinite(values)):
        points = [_point(axes, *pair) for pair in zip(steps[start:end], values[start:end], strict=True)]
        if len(points) == 1:
            x, y = points[0].split(",")
            yield f'<circle class="dot {kind}" cx="{x}" cy="{y}" r="2.5">{title}</circle>'
        else:
            yield f'<polyline class="{kind}" points="{" ".join(points)}">{title}</polyline>'


def _stretches(known: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First index and end of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _point(axes: _Axes, step: float, value: float) -> str:
    return f"{axes.x(float(step)):.1f},{axes.y(float(value)):.1f}"
