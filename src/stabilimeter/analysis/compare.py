"""From two groups of seeds to what can be said about the second."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from stabilimeter.analysis.comparability import differences_worth_noting, refuse_incomparable, refuse_too_few
from stabilimeter.analysis.comparison import (
    Answer,
    Comparison,
    ComparisonError,
    FailureComparison,
    MetricComparison,
    SpreadComparison,
)
from stabilimeter.analysis.metric_choice import metric_choice
from stabilimeter.analysis.metric_comparison import Samples, metric_comparisons, missing_values, samples_of
from stabilimeter.analysis.pairing import seeds_are_shared
from stabilimeter.analysis.side import Side, side_of
from stabilimeter.analysis.stability_difference import stability_difference
from stabilimeter.analysis.summary import Summary
from stabilimeter.records.sweep import Sweep
from stabilimeter.stats.power import ALPHA, MIN_PAIRS
from stabilimeter.stats.proportions import fisher_exact
from stabilimeter.stats.spread import brown_forsythe

MIN_SPREAD_SEEDS = 10
"""Seeds per side from which a test of spread is worth a decision."""


def compare(
    baseline: Sweep | Summary,
    candidate: Sweep | Summary,
    *,
    rng: np.random.Generator,
    metric: str | None = None,
    mode: str | None = None,
    margin: float | None = None,
    target: float | None = None,
    baseline_group: str | None = None,
    candidate_group: str | None = None,
) -> Comparison:
    """Is the candidate better than the baseline, worse, equivalent, or can these seeds not tell?

    In this order: *worse* if a larger share of its seeds failed, by rule and whatever a test says; *worse* or *better*
    if the primary metric tells the sides apart (see `metric_comparisons`); *better* if significantly fewer seeds failed
    and the metric is not worse by the margin; *equivalent* if the interval of the difference lies within the margin and
    neither the stability score nor the spread got worse; else *inconclusive*. Means are over the seeds that did not
    fail. Without a primary metric all validation metrics decide, Holm-adjusted, and have to agree.

    Args:
        baseline: What is known: a sweep, or its summary (then configurations are not checked, and stability scores not
            compared).
        candidate: What is to be judged.
        rng: For resamples; only used for more than 40 seeds in all.
        metric: Compare this metric alone; default: the primary metric, and all validation metrics beside it.
        mode: ``"min"`` or ``"max"`` for the primary metric; default: what the runs or the metric's name say.
        margin: The largest difference of the primary metric that does not matter, in its unit; default: the baseline's
            standard deviation over seeds.
        target: A seed whose final primary metric does not reach this value has failed (sweeps only).
        baseline_group: Label of the baseline's group, or a part of it; needed if there are several.
        candidate_group: The same for the candidate; both sides may be groups of one sweep.

    Raises:
        ComparisonError: if the two cannot be compared; the message says why and what to do.
    """
    if mode not in (None, "min", "max"):
        raise ValueError(f"mode must be 'min' or 'max', got {mode!r}")
    if margin is not None and not (math.isfinite(margin) and margin > 0):
        raise ValueError(f"margin must be a positive number, got {margin}")
    sides = [
        side_of(name, source, rng=rng, group=group, metric=metric, mode=mode, target=target)
        for name, source, group in (
            ("baseline", baseline, baseline_group),
            ("candidate", candidate, candidate_group),
        )
    ]
    return compare_sides(sides[0], sides[1], rng=rng, metric=metric, mode=mode, margin=margin)


def compare_sides(
    baseline: Side,
    candidate: Side,
    *,
    rng: np.random.Generator,
    metric: str | None = None,
    mode: str | None = None,
    margin: float | None = None,
) -> Comparison:
    """The same for two groups that were summarised already; the arguments are those of `compare`."""
    refuse_too_few(baseline, candidate)
    refuse_incomparable(baseline, candidate)
    chosen = metric_choice(baseline, candidate, metric, mode)
    if margin is not None and chosen.primary is None:
        raise ComparisonError("a margin needs a primary metric, in whose unit it is; give --metric TAG")
    samples = {tag: own for tag in chosen.tags if (own := samples_of(baseline, candidate, tag)) is not None}
    metrics = metric_comparisons(samples, chosen.modes, rng=rng, primary=chosen.primary, margin=margin)
    failures = _failures(baseline, candidate)
    first = next((tag for tag in chosen.tags if tag in samples), None)
    spread = _spread(first, None if first is None else samples[first])
    stability = stability_difference(baseline, candidate, chosen.primary, chosen.modes.get(chosen.primary or ""))
    deciding = [metrics[tag] for tag in metrics if chosen.primary in (None, tag)]
    less_stable = Answer.WORSE in (spread.answer, stability.answer)
    return Comparison(
        labels=(baseline.group.label, candidate.group.label),
        primary_metric=chosen.primary,
        metrics=metrics,
        spread=spread,
        failures=failures,
        stability=stability,
        verdict=_verdict(deciding, failures, less_stable=less_stable),
        notes=(
            *_about_seeds(baseline, candidate, samples),
            *_not_compared(baseline, candidate, chosen.tags, samples),
            *missing_values(baseline, candidate, list(samples)),
            *_without_width(metrics),
            *differences_worth_noting(baseline, candidate),
        ),
    )


def _failures(baseline: Side, candidate: Side) -> FailureComparison:
    n = (len(baseline.finished), len(candidate.finished))
    k = (n[0] - len(baseline.survivors), n[1] - len(candidate.survivors))
    return FailureComparison(k, n, fisher_exact((k[0], n[0]), (k[1], n[1])), new=k[1] * n[0] > k[0] * n[1])


def _spread(tag: str | None, samples: Samples | None) -> SpreadComparison:
    if tag is None or samples is None:
        return SpreadComparison(None, None, None, None, Answer.INCONCLUSIVE, "no metric could be compared")
    first, second = float(samples.first.std(ddof=1)), float(samples.second.std(ddof=1))
    fewest = min(samples.first.size, samples.second.size)
    p = brown_forsythe(samples.first, samples.second) if fewest >= 3 else None
    answer, reason = Answer.INCONCLUSIVE, None
    if fewest < MIN_SPREAD_SEEDS:
        reason = f"{MIN_SPREAD_SEEDS} seeds on each side needed to judge a spread"
    elif p is not None and p <= ALPHA:
        answer = Answer.BETTER if second < first else Answer.WORSE
    return SpreadComparison(tag, (first, second), second / first if first > 0 else None, p, answer, reason)


def _verdict(deciding: Sequence[MetricComparison], failures: FailureComparison, *, less_stable: bool) -> Answer:
    answers = {metric.answer for metric in deciding}
    if failures.new:
        return Answer.WORSE
    if {Answer.BETTER, Answer.WORSE} <= answers:
        return Answer.INCONCLUSIVE
    for decided in (Answer.WORSE, Answer.BETTER):
        if decided in answers:
            return decided
    if failures.p <= ALPHA and all(metric.is_not_worse for metric in deciding):  # fewer failed: more is `new`
        return Answer.BETTER
    equivalent = answers == {Answer.EQUIVALENT} and not less_stable
    return Answer.EQUIVALENT if equivalent else Answer.INCONCLUSIVE


def _about_seeds(baseline: Side, candidate: Side, samples: dict[str, Samples]) -> list[str]:
    notes = []
    for side in (baseline, candidate):
        n_failed = len(side.finished) - len(side.survivors)
        if n_failed:
            means = ": means are over the others, and failures are judged apart" if side.survivors else ""
            notes.append(f"{n_failed} of {len(side.finished)} seeds of the {side.name} failed{means}")
        if side.group.n_running:
            notes.append(f"{side.group.n_running} seeds of the {side.name} are still running: figures will change")
    if seeds_are_shared(baseline, candidate) and samples:
        if not any(own.paired for own in samples.values()):
            notes.append(f"both sides have the same seeds, but fewer than {MIN_PAIRS} pairs: compared as unpaired")
        elif len(next(iter(samples.values())).first) < len(baseline.finished):
            notes.append("compared in pairs of the same seed: a seed that failed on one side leaves its pair out")
    return notes


def _without_width(metrics: Mapping[str, MetricComparison]) -> list[str]:
    return [
        (
            f"{tag}: all seeds of a side have the same value, so that the interval has no width and says nothing about "
            "seeds that were not trained; p needs no spread"
        )
        for tag, metric in metrics.items()
        if metric.ci[0] == metric.ci[1]
    ]


def _not_compared(baseline: Side, candidate: Side, tags: Sequence[str], samples: dict[str, Samples]) -> list[str]:
    return [
        f"{tag} could not be compared: {len(baseline.finals(tag))} surviving seeds of the baseline and "
        f"{len(candidate.finals(tag))} of the candidate have a value, 2 on each side needed"
        for tag in tags
        if tag not in samples
    ]
