"""Stability scores of two groups on one scale, and their difference."""

import math
from dataclasses import replace

import numpy as np

from stabilimeter.analysis.comparison import Answer, StabilityComparison
from stabilimeter.analysis.evidence import Evidence, Scales, final_value, scales_of
from stabilimeter.analysis.primary import Primary
from stabilimeter.analysis.roles import roles_in
from stabilimeter.analysis.scores import troubles_of
from stabilimeter.analysis.side import Side
from stabilimeter.stats.effect import Difference, mover_difference
from stabilimeter.stats.stability import COMPONENTS, StabilityScore, stability_score


def stability_difference(baseline: Side, candidate: Side, tag: str | None, mode: str | None) -> StabilityComparison:
    """Stability of the candidate less that of the baseline, with its interval.

    Both are measured in units of the baseline's yardstick D: in units of its own the variant that gains more would look
    more stable. The interval combines those of the two scores by MOVER, which asks only that the groups be independent;
    for groups that share seeds it is too wide rather than too narrow, as long as the seeds act alike on both.

    Args:
        baseline: Its survivors set the scale.
        candidate: The other side.
        tag: The primary metric; None if there is none.
        mode: Its better direction.
    """
    if baseline.runs is None or candidate.runs is None:
        return _without("the scores of a summary are in units of its own gain; compare the folders themselves")
    primary = Primary(tag, mode)
    alive = _survivors(baseline, primary)
    scales = scales_of(alive)
    first = _score(baseline, alive, scales)
    second = _score(candidate, _survivors(candidate, primary), scales)
    missing = tuple(name for name in COMPONENTS if name in {*first.not_measured, *second.not_measured})
    scores = (first.score, second.score)
    if first.score is None or second.score is None:
        side, undefined = (baseline, first) if first.score is None else (candidate, second)
        return _without(f"no score of the {side.name}: {undefined.reason}", scores, missing)
    one_sided = sorted(set(first.not_measured) ^ set(second.not_measured))
    if one_sided and second.failure_rate < 1 and first.failure_rate < 1:
        return _without(f"measured on one side only: {', '.join(one_sided)}", scores, missing)
    whole = _whole(first, second)
    if first.given_completion is None or second.given_completion is None:
        side, without = (baseline, first) if first.given_completion is None else (candidate, second)
        return replace(_without(f"{side.name}: {without.reason}", scores, missing), difference=whole.value)
    given = _given_completion(first, second)
    answer = Answer.INCONCLUSIVE
    if given.low > 0 or given.high < 0:
        answer = Answer.BETTER if given.low > 0 else Answer.WORSE
    return StabilityComparison(
        scores, whole.value, (whole.low, whole.high), given.value, (given.low, given.high), answer, missing, None
    )


def _survivors(side: Side, primary: Primary) -> list[Evidence]:
    """The non-failed seeds, charged with the spikes that the summary found."""
    alive = side.surviving_runs
    roles = roles_in(side.runs or ())
    seeds = []
    for run, summary in alive:
        seed = Evidence(run, roles, primary)
        points = int(np.isfinite(seed.train_loss.values).sum())
        seeds.append(Evidence(run, roles, primary, charged_events=points * (summary.scores.get("spike_rate") or 0.0)))
    return seeds


def _score(side: Side, alive: list[Evidence], scales: Scales) -> StabilityScore:
    return stability_score(
        [troubles_of(seed, scales) for seed in alive],
        len(side.finished) - len(alive),
        np.array([final_value(seed) for seed in alive]),
        scales.evaluation.value if scales.evaluation.is_positive else None,
        half_points=side.half_points,
    )


def _whole(first: StabilityScore, second: StabilityScore) -> Difference:
    limits = [(score.low or 0.0, score.high or 0.0) for score in (first, second)]
    return mover_difference(first.score or 0.0, limits[0], second.score or 0.0, limits[1])


def _given_completion(first: StabilityScore, second: StabilityScore) -> Difference:
    points = [(score.score or 0.0) / (1 - score.failure_rate) for score in (first, second)]
    limits = [score.given_completion or (math.nan, math.nan) for score in (first, second)]
    return mover_difference(points[0], limits[0], points[1], limits[1])


def _without(
    reason: str, scores: tuple[float | None, float | None] = (None, None), missing: tuple[str, ...] = ()
) -> StabilityComparison:
    return StabilityComparison(scores, None, None, None, None, Answer.INCONCLUSIVE, missing, reason)
