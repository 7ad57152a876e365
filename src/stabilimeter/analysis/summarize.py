"""From a sweep to its summary."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from stabilimeter.analysis.group import PARTS, Options, summarize_group
from stabilimeter.analysis.primary import check_metric
from stabilimeter.analysis.summary import GroupSummary, Summary
from stabilimeter.records.sweep import Sweep
from stabilimeter.stats.stability import HalfPoints

INTERVALS = ("t", "bootstrap-t")


def summarize(
    sweep: Sweep,
    *,
    rng: np.random.Generator,
    metric: str | None = None,
    mode: str | None = None,
    target: float | None = None,
    interval: str = "t",
    expect_progress: bool = True,
    half_points: HalfPoints | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Summary:
    """Failures, incidents, scores, metrics and bands of every group of a sweep.

    Args:
        sweep: What ``read_sweep`` returns.
        rng: Source of the resamples of the bootstrap; nothing else is random.
        metric: The primary metric; default: what the runs monitored, else the only validation loss.
        mode: ``"min"`` or ``"max"`` for the primary metric; default: what the manifest or the metric's name says.
        target: A seed whose final primary metric does not reach this value has failed.
        interval: ``"t"``, or ``"bootstrap-t"`` for the means of skewed metrics over five seeds or more.
        expect_progress: False where the training loss need not fall (GANs, reinforcement learning, fine-tuning): then
            no seed fails for lack of progress.
        half_points: What earns half marks in the stability score; default: the published conventions.
        on_progress: Called with how much is done and how much there is: two parts of each run, its incidents and then,
            when those of all its group are known, the rest.

    Raises:
        UnknownMetricError: if no run has ``metric``, or a target is given for a group without a primary metric whose
            better direction is known.
        ValueError: if ``mode`` or ``interval`` is not one of the above.
    """
    if mode not in (None, "min", "max"):
        raise ValueError(f"mode must be 'min' or 'max', got {mode!r}")
    if interval not in INTERVALS:
        raise ValueError(f"interval must be one of {', '.join(INTERVALS)}, got {interval!r}")
    if metric is not None:
        check_metric([run for group in sweep.groups for run in group.runs], metric)
    options = Options(
        root=Path(sweep.path),
        rng=rng,
        metric=metric,
        mode=mode,
        target=target,
        interval=interval,
        expect_progress=expect_progress,
        half_points=half_points or HalfPoints(),
    )
    done = itertools.count(1)
    total = PARTS * sum(len(group.runs) for group in sweep.groups)

    def on_part() -> None:
        if on_progress is not None:
            on_progress(next(done), total)

    groups = [summarize_group(group, options, on_part) for group in sweep.groups]
    return joined(sweep, groups, options.half_points)


def joined(sweep: Sweep, groups: Sequence[GroupSummary], half_points: HalfPoints | None = None) -> Summary:
    """The summary of a sweep whose groups have been summarised one by one, in the order of the sweep."""
    primaries = {group.primary_metric for group in groups}
    common = primaries.pop() if len(primaries) == 1 else None
    notes = list(sweep.notes)
    if primaries:
        listed = ", ".join(f"{group.label}: {group.primary_metric}" for group in groups)
        notes.append(f"groups have different primary metrics: {listed}")
    return Summary(common, tuple(groups), tuple(notes), half_points or HalfPoints())
