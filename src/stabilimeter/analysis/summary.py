"""Everything computed for one sweep, as frozen values that know their JSON form."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from stabilimeter.analysis.checkpoints import RunCheckpoints
from stabilimeter.analysis.examples import GroupExamples
from stabilimeter.analysis.shipment import Shipment
from stabilimeter.records.manifest import MonitorCost
from stabilimeter.stats.band import Band as Band
from stabilimeter.stats.incident import Incident
from stabilimeter.stats.spike_rate import SpikeRate
from stabilimeter.stats.stability import HalfPoints

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

    ``mean`` to ``max`` are None for n = 0, ``sd`` and ``iqr`` for n < 2, ``ci`` for n < 3. ``expected_best``: of k = 1,
    2, ... n (20 at most) of these runs; None if the better direction is unknown. ``method`` of the interval: ``t``,
    ``bootstrap-t``, or ``equal`` where all seeds have the same value and the interval therefore no width.
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
    expected_best: tuple[float, ...] | None = None


@dataclass(frozen=True)
class TimeToTarget:
    """When the seeds of a group reached the target of their primary metric.

    Attributes:
        target: Value of the metric.
        n: Finished seeds.
        n_reached: Of these, how many ever reached it.
        median: Step, in the median over seeds, those that never came there counted as latest; None if undefined.
        reason: Why there is no median.
    """

    target: float
    n: int
    n_reached: int
    median: float | None
    reason: str | None


@dataclass(frozen=True)
class RunSummary:
    """One seed of a group.

    Attributes:
        path: Of the run folder or log file, relative to the folder summarised.
        seed: The seed, or the label of a run that does not tell its seed.
        status: How the run stands, a value of ``RunStatus``.
        failed: Whether it counts as a failed seed.
        failure_reason: Why, starting with a word of `failure.Reason`.
        last_step: Last optimizer step done; None if nothing was logged.
        incidents: In order of steps.
        metrics: Every series by name.
        scores: Every score by name; None where it could not be measured (the group's notes say why).
        copy_of: Path of the run that this one repeats bit for bit; it then counts nowhere else.
        target_step: First step at which it reached the target; None if it never did, or there is no target.
        checkpoints: What a `CheckpointRegression` found, and the checkpoint to ship; None where none was there.
        monitor_cost: What monitoring took, of a run of ours that has ended.
    """

    path: str
    seed: int | str
    status: str
    failed: bool
    failure_reason: str | None
    last_step: int | None
    incidents: tuple[Incident, ...]
    metrics: Mapping[str, RunMetric]
    scores: Mapping[str, float | None]
    copy_of: str | None = None
    target_step: int | None = None
    checkpoints: RunCheckpoints | None = None
    monitor_cost: MonitorCost | None = None


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
        not_measured: Components that could not be measured in every survivor; what is missing is left out of the score.
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
class GroupSummary:
    """Runs that differ in the seed only.

    ``metrics`` covers finished runs, failed or not; ``metrics_ok`` the non-failed ones. ``notes`` are sentences for the
    reader: what was left out, identical, missing. ``spike_rate`` pools the steps of all finished runs; None if too few
    were logged. ``examples``: None where no two seeds have recorded theirs. ``time_to_target``: None without target.
    ``ship`` is the checkpoint to ship; None where checkpoints were not judged. ``bands`` are for pictures and are not
    part of the JSON form.
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
    primary_metric: str | None = None
    spike_rate: SpikeRate | None = None
    time_to_target: TimeToTarget | None = None
    examples: GroupExamples | None = None
    ship: Shipment | None = None


@dataclass(frozen=True)
class Summary:
    """Everything computed for one sweep.

    Attributes:
        primary_metric: The metric that all groups are judged by; None if there is none, or groups differ.
        groups: In the order of the sweep.
        notes: Sentences about the sweep as a whole.
        half_points: The conventions behind the scores.
    """

    primary_metric: str | None
    groups: tuple[GroupSummary, ...]
    notes: tuple[str, ...] = ()
    half_points: HalfPoints = field(default_factory=HalfPoints)

    def to_dict(self) -> dict[str, Any]:
        """The summary in the layout of ``summary.json``; non-finite numbers are floats, see ``records.strict_json``."""
        return {
            "schema": SCHEMA,
            "primary_metric": self.primary_metric,
            "half_points": asdict(self.half_points),
            "notes": list(self.notes),
            "groups": [_group(group) for group in self.groups],
        }


def _group(group: GroupSummary) -> dict[str, Any]:
    plain = {item.name: getattr(group, item.name) for item in fields(group) if item.name != "bands"}
    return {
        **plain,
        "runs": [_run(run) for run in group.runs],
        "metrics": {tag: asdict(metric) for tag, metric in group.metrics.items()},
        "metrics_ok": {tag: asdict(metric) for tag, metric in group.metrics_ok.items()},
        "stability": {item.name: getattr(group.stability, item.name) for item in fields(group.stability)},
        "notes": list(group.notes),
        "spike_rate": None if group.spike_rate is None else asdict(group.spike_rate),
        "examples": None if group.examples is None else asdict(group.examples),
        "time_to_target": None if group.time_to_target is None else asdict(group.time_to_target),
        "ship": None if group.ship is None else asdict(group.ship),
    }


def _run(run: RunSummary) -> dict[str, Any]:
    plain = {item.name: getattr(run, item.name) for item in fields(run)}
    return {
        **plain,
        "incidents": [_incident(incident) for incident in run.incidents],
        "metrics": {tag: asdict(metric) for tag, metric in run.metrics.items()},
        "scores": dict(run.scores),
        "checkpoints": None if run.checkpoints is None else asdict(run.checkpoints),
        "monitor_cost": None if run.monitor_cost is None else asdict(run.monitor_cost),
    }


def _incident(incident: Incident) -> dict[str, Any]:
    plain = {item.name: getattr(incident, item.name) for item in fields(incident)}
    return {**plain, "kind": incident.kind.value, "evidence": dict(incident.evidence)}
