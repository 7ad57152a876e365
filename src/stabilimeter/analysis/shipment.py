"""Which checkpoint of a run, or of a group of runs, to ship, and why."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from stabilimeter.records.checkpoint_log import CheckpointLog, Evaluation, SavedCheckpoint, full_path
from stabilimeter.stats.checkpoint_verdict import Comparison, Verdict

NOISE_SE = 2.0
"""Within so many standard errors of the difference two evaluations count as alike, in pictures and in choosing."""


@dataclass(frozen=True)
class Shipment:
    """The checkpoint to ship.

    Attributes:
        path: Where it is; relative to the folder of the run if it lies there.
        step: Last optimizer step done.
        value: The monitored metric there.
        reason: Why this one, in a sentence.
    """

    path: str
    step: int
    value: float
    reason: str


@dataclass(frozen=True)
class SeedShipment:
    """The checkpoint to ship of one run of a group.

    Attributes:
        path: Of the run, from the folder summarised.
        name: Of the run, in words.
        failed: Whether it is a failed seed.
        mode: ``"min"`` or ``"max"``.
        ship: The checkpoint.
    """

    path: str
    name: str
    failed: bool
    mode: str
    ship: Shipment


def shipment(log: CheckpointLog, run_dir: Path) -> tuple[Shipment | None, str | None]:
    """The checkpoint to ship, or why there is none.

    Of the checkpoints that are still there, healthy, and evaluated at the step at which they were saved: the best by
    the metric, or among those that noise does not tell from it (2 standard errors) the one that has forgotten the
    fewest examples. The best of many evaluations is partly luck; an example that an earlier checkpoint got right and
    this one gets wrong is a regression to somebody.
    """
    evaluations = {evaluation.step: evaluation for evaluation in log.evaluations}
    there: list[SavedCheckpoint] = [saved for saved in log.saved if _exists(saved, run_dir)]
    healthy = [saved for saved in there if not saved.unhealthy]
    judged = [
        (saved, evaluations[saved.step])
        for saved in healthy
        if saved.step in evaluations
        and not evaluations[saved.step].unhealthy
        and math.isfinite(evaluations[saved.step].value)
    ]
    if not judged:
        return None, _why_none(log, there, healthy)
    sign = -1.0 if judged[0][1].mode == "max" else 1.0
    _, best = min(judged, key=lambda pair: (sign * pair[1].value, pair[1].step))
    references = dict(zip(evaluations, best_before(log.evaluations), strict=True))

    def is_alike(evaluation: Evaluation) -> bool:
        margin = max(
            (m for one in (evaluation, best) if not math.isnan(m := noise_margin(one, references[one.step]))),
            default=0.0,
        )
        return sign * (evaluation.value - best.value) <= margin

    alike = [pair for pair in judged if is_alike(pair[1])]
    if all(_forgotten(evaluation) is not None for _, evaluation in alike):
        saved, chosen = min(alike, key=lambda pair: (_forgotten(pair[1]), sign * pair[1].value, pair[1].step))
    else:
        saved, chosen = min(alike, key=lambda pair: (sign * pair[1].value, pair[1].step))
    return Shipment(saved.path, saved.step, chosen.value, _why(chosen, best, log.evaluations)), None


def _why(chosen: Evaluation, best: Evaluation, evaluations: Sequence[Evaluation]) -> str:
    parts = [f"{chosen.monitor} {chosen.value:.4g}"]
    if chosen is best:
        parts[0] += ", the best of its healthy checkpoints"
    else:
        parts[0] += f", which noise does not tell from the best, {best.value:.4g} at step {best.step}"
        parts.append(f"examples forgotten: {_forgotten(chosen)}, there {_forgotten(best)}")
    worse = sum(one.verdict is Verdict.WORSE for one in evaluations if one.step > chosen.step)
    if worse:
        parts.append(f"{worse} of {sum(one.step > chosen.step for one in evaluations)} later evaluations are worse")
    return "; ".join(parts)


def _why_none(log: CheckpointLog, there: Sequence[SavedCheckpoint], healthy: Sequence[SavedCheckpoint]) -> str:
    if not log.saved:
        return "no checkpoint was saved"
    if not there:
        return f"none of the {len(log.saved)} checkpoints that were saved is there any more"
    if not healthy:
        return "no checkpoint is healthy"
    return "no healthy checkpoint was saved at the step of an evaluation"


def _forgotten(evaluation: Evaluation) -> int | None:
    return None if evaluation.examples is None else evaluation.examples.forgotten


def group_shipment(seeds: Sequence[SeedShipment]) -> Shipment | None:
    """The best of what the seeds ship, of those that did not fail if there are any; None without any.

    Its path starts at the folder summarised. Seeds are not told apart by noise: any of them can be shipped, and the
    best is as good a choice as another.
    """
    candidates = [seed for seed in seeds if not seed.failed] or list(seeds)
    if not candidates:
        return None
    sign = -1.0 if candidates[0].mode == "max" else 1.0
    chosen = min(candidates, key=lambda seed: sign * seed.ship.value)
    reason = f"{chosen.name}: {chosen.ship.reason}"
    if len(seeds) > 1:
        reason += f"; the best of {len(candidates)} seeds"
    path = chosen.ship.path
    return replace(chosen.ship, path=path if "://" in path else str(PurePath(chosen.path, path)), reason=reason)


def best_before(evaluations: Sequence[Evaluation]) -> NDArray[np.float64]:
    """Value of the evaluation that each was compared with; NaN where there was none."""
    values = {evaluation.step: evaluation.value for evaluation in evaluations}
    compared = [evaluation.against_best for evaluation in evaluations]
    return np.array([math.nan if best is None else values.get(best.step, math.nan) for best in compared])


def noise_margin(evaluation: Evaluation, best: float) -> float:
    """What noise explains around ``best``, in the metric's unit; NaN if that is not known."""
    against = evaluation.against_best
    if against is None or not _is_in_unit_of_metric(against, evaluation.value - best):
        return math.nan
    return NOISE_SE * against.se


def _is_in_unit_of_metric(against: Comparison, difference: float) -> bool:
    """Whether the difference that was tested is that of the metric: accuracy for correctness, the mean loss for losses.

    A best level instead of the best value, or a mean over batches of unequal size, differs by less than the noise.
    """
    return math.isfinite(against.se) and abs(against.difference - difference) <= NOISE_SE * against.se + 1e-6


def _exists(saved: SavedCheckpoint, run_dir: Path) -> bool:
    """Files of other file systems are taken to be there: looking would take a connection."""
    path = full_path(saved.path, run_dir)
    return "://" in path or Path(path).exists()
