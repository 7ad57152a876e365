"""Sentences for the reader of a summary: what was left out, identical, missing, cut short."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import median

from stabilimeter.analysis.evidence import Evidence, Scales
from stabilimeter.analysis.scores import noise, regression, spike_rate
from stabilimeter.analysis.summary import GroupMetric
from stabilimeter.records.run import Run

MAX_LISTED = 4
LENGTH_TOLERANCE = 0.01
DEAR = 0.1
"""Share of the training time above which what monitoring took is told."""


def run_notes(runs: Sequence[Run]) -> list[str]:
    """What the reader of the records had to say, runs with the same remark together."""
    remarks: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        for remark in run.notes:
            remarks[remark].append(run.label)
    return [f"{_listed(labels)}: {remark}" for remark, labels in remarks.items()]


def copies_note(runs: Sequence[Run], copies: Mapping[int, int]) -> list[str]:
    """Runs that repeat another one bit for bit."""
    return [
        f"{runs[copy].label} repeats {runs[first].label} bit for bit although it is another run; counted once"
        for copy, first in copies.items()
    ]


def missing_tags(runs: Sequence[Run]) -> list[str]:
    """Tags that some runs have and others lack, runs that lack the same tags together."""
    everything = sorted({tag for run in runs for tag in run})
    lacking: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for run in runs:
        missing = tuple(tag for tag in everything if tag not in run)
        if missing:
            lacking[missing].append(run.label)
    return [f"{_listed(labels)}: nothing logged for {_listed(tags)}" for tags, labels in lacking.items()]


def unequal_lengths(seeds: Sequence[Evidence]) -> list[str]:
    """Runs that ended at different steps."""
    last = [step for seed in seeds if (step := seed.last_step) is not None]
    if len(last) < 2 or min(last) >= (1 - LENGTH_TOLERANCE) * max(last):
        return []
    return [
        (
            f"runs end between step {min(last)} and step {max(last)}; "
            "every final value is that of the run's own end, and bands go on with fewer seeds"
        )
    ]


def equal_finals(tag: str | None, metrics: Mapping[str, GroupMetric]) -> list[str]:
    """All seeds end at the very same value of the primary metric."""
    metric = metrics.get(tag or "")
    if metric is None or metric.method != "equal":
        return []
    return [
        (
            f"{tag} ends at {metric.mean:g} in all {metric.n} seeds: it does not tell how far seeds scatter, and an "
            "interval without width says nothing about seeds that were not trained"
        )
    ]


def unaligned(tags: Sequence[str]) -> list[str]:
    """Bands for which the nearest step stood in."""
    if not tags:
        return []
    return [
        (
            f"{_listed(tags)}: logged at different steps in different seeds; "
            "bands take each seed's value nearest to the step, at most half an interval away"
        )
    ]


def dear_monitoring(runs: Sequence[Run]) -> list[str]:
    """Monitoring took a visible share of the training time: steps of a millisecond or two, or optional signals."""
    shares = [run.manifest.monitor_cost.share for run in runs if run.manifest and run.manifest.monitor_cost]
    if not shares or median(shares) <= DEAR:
        return []
    return [
        (
            f"monitoring took {100 * median(shares):.0f} % of the training time (median over runs); "
            "fewer signals, or larger strided_every_n_steps and flush_every_n_steps, take less"
        )
    ]


def not_measured(seeds: Sequence[Evidence], scales: Scales) -> list[str]:
    """Why a component of the score could not be measured, seeds with the same reason together."""
    labels: dict[str, list[str]] = defaultdict(list)
    for name, score in (("loss spikes", spike_rate), ("noise", noise), ("regression", regression)):
        for seed in seeds:
            reason = score(seed, scales).reason
            if reason is not None:
                labels[f"{name} not measured: {reason}"].append(seed.run.label)
    return [reason if len(own) == len(seeds) else f"{_listed(own)}: {reason}" for reason, own in labels.items()]


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MAX_LISTED])
    return shown if len(names) <= MAX_LISTED else f"{shown} and {len(names) - MAX_LISTED} more"
