"""Everything computed for one sweep, as frozen values that know their JSON form."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.incident import Incident

SCHEMA = 1


@dataclass(frozen=True)
class RunMetric:
    """One metric of one run.

    Attributes:
        final: Value at the largest step; non-finite kept as such.
        best: Best finite value by the metric's mode; None if the mode is unknown or nothing is finite.
        best_step: Step of ``best``, the first on ties.
        n_points: Logged points, non-finite ones included.
        n_nonfinite: Points that are NaN or infinite.
    """

    final: float
    best: float | None
    best_step: int | None
    n_points: int
    n_nonfinite: int


@dataclass(frozen=True)
class GroupMetric:
    """The final value of one metric over the seeds of a group (finite values only; ``n`` says how many).

    ``mean`` to ``max`` are None for n = 0, ``sd`` for n < 2, ``ci`` for n < 3.
    """

    mode: str | None
    n: int
    mean: float | None
    sd: float | None
    iqm: float | None
    median: float | None
    iqr: float | None
    min: float | None
    max: float | None
    ci: tuple[float, float] | None
    level: float
    method: str


@dataclass(frozen=True)
class RunSummary:
    """One seed of a group."""

    path: str
    seed: int | str
    status: str
    failed: bool
    failure_reason: str | None
    last_step: int | None
    incidents: tuple[Incident, ...]
    metrics: Mapping[str, RunMetric]
    scores: Mapping[str, float | None]


@dataclass(frozen=True)
class Stability:
    """The stability score of a group, 0 to 100, higher is better.

    Attributes:
        score: The score; None if it is undefined, with ``reason``.
        low: Lower 95 % limit, failures nobody has seen yet included; None for fewer than 3 survivors.
        high: Upper 95 % limit.
        given_completion: 95 % interval of the score given that a seed completes.
        failure_rate: Failed share of the finished seeds.
        failure_ci: Its Wilson 95 % interval.
        points_lost: Points (of 100) lost to ``failures``, ``spikes``, ``noise``, ``regression``, ``seed_spread``;
            sums to ``100 - score``.
        not_measured: Components that could not be measured, left out of the score.
        reason: Why ``score`` or its interval is None.
    """

    score: float | None
    low: float | None
    high: float | None
    given_completion: tuple[float, float] | None
    failure_rate: float | None
    failure_ci: tuple[float, float] | None
    points_lost: Mapping[str, float]
    not_measured: tuple[str, ...]
    reason: str | None


@dataclass(frozen=True)
class Band:
    """One series across the seeds of a group, on the steps that the seeds have in common; arrays of one length.

    Attributes:
        steps: int64, at most 1,000 of them.
        n: Seeds with a finite value at the step.
        mean: Mean over those seeds.
        low: Lower 95 % t limit of the mean; NaN where n < 3.
        high: Upper 95 % t limit of the mean; NaN where n < 3.
        min: Smallest value.
        max: Largest value.
    """

    steps: NDArray[np.int64]
    n: NDArray[np.int64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    min: NDArray[np.float64]
    max: NDArray[np.float64]


@dataclass(frozen=True)
class GroupSummary:
    """Runs that differ in the seed only.

    ``notes`` are sentences for the reader: what was left out, truncated, identical, missing. ``bands`` are for
    pictures and are not part of the JSON form.
    """

    key: str
    label: str
    n_runs: int
    n_failed: int
    n_running: int
    n_cancelled: int
    runs: tuple[RunSummary, ...]
    metrics: Mapping[str, GroupMetric]
    metrics_ok: Mapping[str, GroupMetric]
    stability: Stability
    notes: tuple[str, ...] = ()
    bands: Mapping[str, Band] = field(default_factory=dict)


@dataclass(frozen=True)
class Summary:
    """Everything computed for one sweep; ``notes`` are sentences about the sweep as a whole."""

    primary_metric: str | None
    groups: tuple[GroupSummary, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The summary in the layout of ``summary.json`` (non-finite numbers still floats; see ``records.strict_json``)."""
        raise NotImplementedError
