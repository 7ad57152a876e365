"""Is something of the candidate not worse than the baseline's, but for a margin?"""

from collections.abc import Sequence
from dataclasses import dataclass

from stabilimeter.analysis.comparability import refuse_incomparable
from stabilimeter.analysis.comparison import ComparisonError, StabilityComparison
from stabilimeter.analysis.metric_comparison import missing_values, samples_of
from stabilimeter.analysis.side import Side
from stabilimeter.analysis.stability_difference import stability_difference
from stabilimeter.stats.power import seeds_to_exclude
from stabilimeter.stats.proportions import newcombe_difference


@dataclass(frozen=True)
class NonInferiority:
    """The answer, and what it rests on.

    Attributes:
        holds: True if shown, False if refuted, None if these seeds cannot tell.
        difference: Candidate less baseline, in the unit of the score.
        low: Lower end of its 95 % interval.
        high: Upper end.
        n_needed: Seeds per side for 80 % power to show it, if the observed difference is true; None if it holds, or
            that many are not known or not enough.
        reason: What a reader should know; empty if the numbers say it all.
    """

    holds: bool | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    n_needed: int | None = None
    reason: str = ""


def matched_sides(baseline: Sequence[Side], candidate: Sequence[Side]) -> list[tuple[Side, Side]]:
    """The baseline of each group of the candidate: the only one, or the one with the same label.

    Raises:
        ComparisonError: if a group has none, or is measured on other data.
    """
    by_label = {side.group.label: side for side in baseline}
    pairs = []
    for side in candidate:
        own = baseline[0] if len(baseline) == 1 else by_label.get(side.group.label)
        if own is None:
            raise ComparisonError(
                f"the baseline has no group {side.group.label!r}; give a baseline with one group, or with the same "
                f"groups; it has: {', '.join(by_label)}"
            )
        refuse_incomparable(own, side)
        pairs.append((own, side))
    return pairs


def metric_not_worse(baseline: Side, candidate: Side, tag: str, margin: float) -> NonInferiority:
    """Whether the mean of a metric over the surviving seeds is not worse by the margin or more.

    It holds if the 95 % interval of the difference (Welch's; over pairs, if seeds are shared) ends before the margin,
    and is refuted if all of it lies beyond; each with an error of 2.5 %. Never by the point difference. Failed seeds
    are judged apart, by `failures_not_worse`.

    Args:
        baseline: What is known.
        candidate: What is judged.
        tag: The metric.
        margin: In its unit, positive.
    """
    modes = {mode for side in (baseline, candidate) if (mode := side.mode(tag)) is not None}
    if len(modes) != 1:
        return NonInferiority(None, reason=f"whether a higher {tag} is better is not known; say so with --mode")
    samples = samples_of(baseline, candidate, tag)
    if samples is None:
        return NonInferiority(None, reason=f"{tag} needs 2 surviving seeds with a value on each side")
    difference, sign = samples.difference, 1.0 if modes == {"min"} else -1.0
    mildest, worst = sorted((sign * difference.low, sign * difference.high))
    holds = True if worst < margin else False if mildest >= margin else None
    lacking = missing_values(baseline, candidate, [tag])
    needed = seeds_to_exclude(sign * difference.value, margin, samples.noise) if holds is None else None
    reason = "; ".join(lacking)
    return NonInferiority(
        None if lacking and holds else holds, difference.value, difference.low, difference.high, needed, reason
    )


def stability_not_worse(baseline: Side, candidate: Side, margin: float, *, given_completion: bool) -> NonInferiority:
    """Whether the stability score is not lower by the margin, in points of 100, or more.

    Both scores are in units of the baseline's yardstick, see `stability_difference`. Where a component could not be
    measured there is no answer: what was not measured may be what got worse.

    Args:
        baseline: What is known.
        candidate: What is judged.
        margin: In points, positive.
        given_completion: Leave out the failures: how the seeds that finish compare.
    """
    tag = candidate.group.primary_metric
    if tag != baseline.group.primary_metric:
        return NonInferiority(None, reason=f"judged by different metrics: {baseline.group.primary_metric} and {tag}")
    found: StabilityComparison = stability_difference(baseline, candidate, tag, candidate.mode(tag or ""))
    value, limits = (
        (found.given_completion, found.given_completion_ci) if given_completion else (found.difference, found.ci)
    )
    if value is None or limits is None:
        return NonInferiority(None, value, reason=found.reason or "no interval")
    holds = True if limits[0] > -margin else False if limits[1] <= -margin else None
    if found.not_measured:
        reason = f"not measured: {', '.join(found.not_measured)}"
        return NonInferiority(None, value, limits[0], limits[1], reason=reason)
    return NonInferiority(holds, value, limits[0], limits[1])


def failures_not_worse(baseline: Side, candidate: Side, margin: float = 0.0) -> NonInferiority:
    """Whether the observed share of failed seeds is at most that of the baseline plus the margin.

    An absolute rule, not a test: a failed seed is a fact, and a test that asks for evidence passes nearly anything with
    few seeds (2 of 5 against 0 of 5 has p = 0.44). The interval (Newcombe's) is for the reader.

    Args:
        baseline: What is known.
        candidate: What is judged.
        margin: Share, 0 or more.
    """
    (n, m), (k, other) = (
        (len(baseline.finished), len(candidate.finished)),
        (len(baseline.finished) - len(baseline.survivors), len(candidate.finished) - len(candidate.survivors)),
    )
    if not n or not m:
        return NonInferiority(None, reason="no seed has finished")
    difference = newcombe_difference((k, n), (other, m))
    return NonInferiority(
        difference.value <= margin + 1e-12,
        difference.value,
        difference.low,
        difference.high,
        reason=f"{other} of {m} seeds failed, {k} of {n} in the baseline",
    )
