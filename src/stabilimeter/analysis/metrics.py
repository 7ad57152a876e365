"""Final and best values of every metric, per run and over the seeds of a group."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from stabilimeter.analysis.summary import GroupMetric, RunMetric
from stabilimeter.records.run import Series
from stabilimeter.stats.best_of import expected_best
from stabilimeter.stats.intervals import bootstrap_t_interval
from stabilimeter.stats.seeds import seed_statistics

LEVEL = 0.95
MAX_BEST_OF = 20


def run_metric(series: Series, mode: str | None) -> RunMetric:
    """One metric of one run: the value at the largest step, the best finite value, and how many points there are.

    Args:
        series: A series with at least one point.
        mode: ``"min"`` or ``"max"``; None leaves ``best`` open.

    >>> run_metric(Series(np.array([1, 2, 3]), np.array([0.5, 0.7, np.nan])), "max")
    RunMetric(final=nan, best=0.7, best_step=2, n_points=3, n_nonfinite=1)
    """
    finite = np.isfinite(series.values)
    best: int | None = None
    if mode is not None and finite.any():
        worst = np.inf if mode == "min" else -np.inf
        oriented = np.where(finite, series.values, worst)
        best = int(np.argmin(oriented) if mode == "min" else np.argmax(oriented))
    return RunMetric(
        final=float(series.values[-1]),
        best=None if best is None else float(series.values[best]),
        best_step=None if best is None else int(series.steps[best]),
        n_points=int(series.values.size),
        n_nonfinite=int(np.sum(~finite)),
    )


def group_metric(
    finals: Iterable[float], mode: str | None, *, rng: np.random.Generator, interval: str = "t"
) -> GroupMetric:
    """One metric over the seeds of a group: statistics of the finite final values.

    Args:
        finals: Final value of each seed; non-finite ones are left out and show in ``n``.
        mode: ``"min"``, ``"max"`` or None if unknown.
        rng: Source of the resamples of the bootstrap.
        interval: ``"t"``, or ``"bootstrap-t"`` for skewed values of five seeds or more (below five it stays ``"t"``).

    >>> group_metric([0.97, 0.98, float("nan")], "max", rng=np.random.default_rng(0)).n
    2
    """
    values = np.array([value for value in finals if np.isfinite(value)], dtype=np.float64)
    statistics = seed_statistics(values, LEVEL)
    ci, method = statistics.ci, "t"
    if statistics.sd == 0:
        method = "equal"
    elif interval == "bootstrap-t" and statistics.n >= 5:
        ci, method = bootstrap_t_interval(values, rng=rng, level=LEVEL), "bootstrap-t"
    return GroupMetric(
        mode=mode,
        n=statistics.n,
        mean=statistics.mean,
        sd=statistics.sd,
        iqm=statistics.iqm,
        median=statistics.median,
        iqr=statistics.iqr,
        min=statistics.min,
        max=statistics.max,
        ci=ci,
        level=LEVEL,
        method=method,
        expected_best=_expected_best(values, mode),
    )


def _expected_best(values: NDArray[np.float64], mode: str | None) -> tuple[float, ...] | None:
    if mode is None:
        return None
    return tuple(expected_best(values, k, mode) for k in range(1, min(values.size, MAX_BEST_OF) + 1))
