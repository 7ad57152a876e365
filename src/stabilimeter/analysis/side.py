"""One side of a comparison: a group of seeds, summarised."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from stabilimeter.analysis.comparison import ComparisonError
from stabilimeter.analysis.group import UNFINISHED
from stabilimeter.analysis.primary import UnknownMetricError
from stabilimeter.analysis.summarize import summarize
from stabilimeter.analysis.summary import GroupSummary, RunSummary, Summary
from stabilimeter.records.run import Run
from stabilimeter.records.sweep import Sweep
from stabilimeter.stats.stability import HalfPoints

_UNFINISHED = tuple(status.value for status in UNFINISHED)


@dataclass(frozen=True, eq=False)
class Side:
    """The baseline or the candidate.

    Attributes:
        name: ``"baseline"`` or ``"candidate"``.
        group: Its summary.
        runs: Its runs, in the order of ``group.runs``; None where only a summary was given.
        half_points: The conventions behind its scores.
    """

    name: str
    group: GroupSummary
    runs: tuple[Run, ...] | None
    half_points: HalfPoints

    @property
    def finished(self) -> list[RunSummary]:
        """Runs that count: neither running nor cancelled, nor a copy of another run."""
        return [run for run in self.group.runs if run.status not in _UNFINISHED and run.copy_of is None]

    @property
    def survivors(self) -> list[RunSummary]:
        """Finished runs that did not fail."""
        return [run for run in self.finished if not run.failed]

    @property
    def surviving_runs(self) -> list[tuple[Run, RunSummary]]:
        """The records of the survivors; empty where only a summary was given."""
        alive = self.survivors
        return [(run, own) for run, own in zip(self.runs or (), self.group.runs, strict=False) if own in alive]

    def finals(self, tag: str) -> dict[int | str, float]:
        """Finite final value of a metric of each survivor, by path of the run."""
        values = {run.path: run.metrics[tag].final for run in self.survivors if tag in run.metrics}
        return {path: value for path, value in values.items() if math.isfinite(value)}

    def mode(self, tag: str) -> str | None:
        """The better direction of a metric, if known."""
        metric = self.group.metrics.get(tag)
        return None if metric is None else metric.mode


def side_of(
    name: str,
    source: Sweep | Summary,
    *,
    rng: np.random.Generator,
    group: str | None = None,
    metric: str | None = None,
    mode: str | None = None,
    target: float | None = None,
) -> Side:
    """One group of a sweep, summarised if it is not yet.

    Args:
        name: ``"baseline"`` or ``"candidate"``, for messages.
        source: A sweep, or its summary.
        rng: As for `summarize`.
        group: Label of the group, or a part of it that no other label has; may be left out where there is only one.
        metric: As for `summarize`.
        mode: As for `summarize`.
        target: As for `summarize`.

    Raises:
        ComparisonError: if it is not clear which group is meant, or it does not have the metric.
    """
    index = _chosen(name, [one.label for one in source.groups], group)
    if isinstance(source, Summary):
        return Side(name, source.groups[index], None, source.half_points)
    runs = source.groups[index]
    try:
        summary = summarize(replace(source, groups=(runs,)), rng=rng, metric=metric, mode=mode, target=target)
    except UnknownMetricError as error:
        raise ComparisonError(f"{name}: {error}") from error
    return Side(name, summary.groups[0], runs.runs, summary.half_points)


def sides_of(name: str, sweep: Sweep, summary: Summary) -> list[Side]:
    """Every group of a sweep that was summarised already."""
    return [
        Side(name, own, runs.runs, summary.half_points) for runs, own in zip(sweep.groups, summary.groups, strict=True)
    ]


def _chosen(name: str, labels: Sequence[str], wanted: str | None) -> int:
    listed = ", ".join(repr(label) for label in labels[:10]) + (
        f" and {len(labels) - 10} more" if len(labels) > 10 else ""
    )
    if wanted is None:
        if len(labels) == 1:
            return 0
        raise ComparisonError(f"{name}: {len(labels)} groups ({listed}); name one of them with --{name}-group LABEL")
    found = [index for index, label in enumerate(labels) if label == wanted]
    found = found or [index for index, label in enumerate(labels) if wanted in label]
    if len(found) != 1:
        what = "no group" if not found else f"{len(found)} groups"
        raise ComparisonError(f"{name}: {what} with {wanted!r} in the label; there are: {listed}")
    return found[0]
