"""Baseline and candidate trained seed by seed: what each pair says, and whether that settles it."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stabilimeter.analysis.compare import compare
from stabilimeter.analysis.comparison import Answer, Comparison, ComparisonError
from stabilimeter.analysis.primary import primary_of
from stabilimeter.analysis.recipe_error import RecipeError
from stabilimeter.records.manifest import RunStatus
from stabilimeter.records.run import Run
from stabilimeter.records.settings import setting
from stabilimeter.records.sweep import RunGroup, Sweep
from stabilimeter.stats.levels import oriented
from stabilimeter.stats.sequential import Look, sequential_sign_flips

SCHEMA = 1
ARMS = ("baseline", "candidate")
FINISHED = (RunStatus.COMPLETED, RunStatus.STOPPED)
FAILED = (RunStatus.FAILED, RunStatus.DIVERGED, RunStatus.DIED)


class Stop(str, Enum):
    """Why no more pairs are trained."""

    DIFFERENT = "different"
    EQUIVALENT = "equivalent"
    ALL_PAIRS = "all pairs"


@dataclass(frozen=True)
class Pair:
    """Both runs of one seed.

    Attributes:
        seed: The seed.
        values: Final metric of baseline and candidate; None for a run that failed.
        worsening: How much worse the candidate is, in the unit of the metric. Where one of them failed, that counts as
            the largest difference seen so far; where both did, as none.
    """

    seed: int | str
    values: tuple[float | None, float | None]
    worsening: float


@dataclass(frozen=True)
class PairedAnswer:
    """What the pairs say.

    Attributes:
        metric: The metric.
        mode: ``"min"`` or ``"max"``.
        pairs: In the order of the seeds.
        n_max: The most pairs that were planned.
        looks: The sequential test after each pair, up to that at which it decides, of the worsening.
        margin: Differences below it do not matter; None if nothing was said.
        stop: Why it stopped, or would have; None if it goes on.
        settled_at: Pairs after which that was clear.
    """

    metric: str
    mode: str
    pairs: tuple[Pair, ...]
    n_max: int
    looks: tuple[Look, ...]
    margin: float | None
    stop: Stop | None
    settled_at: int | None

    @property
    def by_metric(self) -> Answer:
        """The answer of the sequential test."""
        if self.stop is Stop.DIFFERENT:
            return Answer.WORSE if self.looks[-1].mean > 0 else Answer.BETTER
        return Answer.EQUIVALENT if self.stop is Stop.EQUIVALENT else Answer.INCONCLUSIVE


@dataclass(frozen=True)
class ArmsReport:
    """The sequential answer, and the comparison of all runs that there are.

    Attributes:
        answer: What the pairs say.
        comparison: `compare` of both sides, its verdict replaced by ``verdict``; None where it was refused.
        refused: Why it was refused; empty if it was not.
        verdict: *Worse* if a larger share of the candidate's seeds failed, whatever a test says; else that of the
            sequential test; where that has none, *equivalent* if the comparison says so.
    """

    answer: PairedAnswer
    comparison: Comparison | None
    refused: str
    verdict: Answer

    def to_dict(self) -> dict[str, Any]:
        """In the layout of ``compare.json``; non-finite numbers are floats, see ``records.strict_json``."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict.value,
            "sequential": asdict(self.answer),
            "comparison": None if self.comparison is None else self.comparison.to_dict(),
            "refused": self.refused or None,
        }


def paired_answer(runs: Sequence[Run], n_max: int, *, metric: str | None, margin: float | None) -> PairedAnswer | None:
    """What the complete pairs among the runs say; None if there is none yet.

    A run counts as failed if it ended by an exception, died or diverged, or if its final metric is not finite. That is
    told by the run alone, so that a decision once taken does not change with later runs.

    Args:
        runs: In the order in which their seeds are looked at; the configuration of each says at ``arm`` which side it
            is on.
        n_max: The most pairs that are planned.
        metric: Name of the metric; default: the monitored one, else the only validation loss.
        margin: With it the sweep also stops once the candidate is equivalent: differs by less than this, for certain.

    Raises:
        RecipeError: if there is no metric to judge by, or its better direction is not known.
    """
    primary = primary_of(runs, metric)
    by_arm = {arm: {run.seed: run for run in runs if setting(run, "arm") == arm} for arm in ARMS}
    both = [seed for seed in by_arm["baseline"] if seed in by_arm["candidate"]]
    ended = [seed for seed in both if all(by_arm[arm][seed].status in (*FINISHED, *FAILED) for arm in ARMS)]
    if not ended:
        return None
    if primary.tag is None or primary.mode is None:
        raise RecipeError(primary.note or "no metric to judge by: name one with metric=...")
    values = [tuple(_final(by_arm[arm][seed], primary.tag) for arm in ARMS) for seed in ended]
    worsening = _worsening(values, primary.mode)
    looks = sequential_sign_flips(worsening, n_max, rng=np.random.default_rng(0))
    stop, settled_at = _stop(worsening, looks, n_max, margin)
    pairs = [
        Pair(seed, (first, second), float(change))
        for seed, (first, second), change in zip(ended, values, worsening, strict=True)
    ]
    return PairedAnswer(primary.tag, primary.mode, tuple(pairs), n_max, looks, margin, stop, settled_at)


def arms_report(sweep: Sweep, n_max: int, *, metric: str | None, margin: float | None) -> ArmsReport:
    """The answer when no more runs are trained.

    Args:
        sweep: The runs of both arms.
        n_max: As for `paired_answer`.
        metric: As for `paired_answer`.
        margin: As for `paired_answer`.

    Raises:
        RecipeError: if there is no complete pair, or nothing to judge by.
    """
    runs = [run for group in sweep.groups for run in group.runs]
    answer = paired_answer(sorted(runs, key=_seed_order), n_max, metric=metric, margin=margin)
    if answer is None:
        raise RecipeError("no seed has finished in both arms: resume the sweep")
    sides = [
        replace(sweep, groups=(RunGroup(arm, arm, tuple(run for run in runs if setting(run, "arm") == arm)),))
        for arm in ARMS
    ]
    try:
        rng = np.random.default_rng(0)
        found = compare(sides[0], sides[1], rng=rng, metric=answer.metric, mode=answer.mode, margin=margin)
    except ComparisonError as error:
        return ArmsReport(answer, None, str(error), answer.by_metric)
    verdict = _verdict(answer, found)
    return ArmsReport(answer, replace(found, verdict=verdict), "", verdict)


def _seed_order(run: Run) -> tuple[bool, int, str]:
    return (not isinstance(run.seed, int), run.seed if isinstance(run.seed, int) else 0, str(run.seed))


def _final(run: Run, tag: str) -> float | None:
    value = float(run[tag].values[-1]) if tag in run and run[tag].values.size else math.nan
    return value if run.status in FINISHED and math.isfinite(value) else None


def _worsening(values: Sequence[tuple[float | None, ...]], mode: str) -> NDArray[np.float64]:
    """Candidate less baseline, oriented so that more is worse; failures count as the largest difference so far."""
    found: list[float] = []
    for first, second in values:
        if first is not None and second is not None:
            found.append(float(oriented(np.array([second - first]), mode)[0]))
        elif first is None and second is None:
            found.append(0.0)
        else:
            found.append(math.inf if second is None else -math.inf)
    largest = max((abs(change) for change in found if math.isfinite(change)), default=0.0) or 1.0
    return np.clip(np.array(found, dtype=np.float64), -largest, largest).astype(np.float64)


def _stop(
    worsening: NDArray[np.float64], looks: Sequence[Look], n_max: int, margin: float | None
) -> tuple[Stop | None, int | None]:
    if looks[-1].decides:
        return Stop.DIFFERENT, looks[-1].n
    if margin is not None:
        rng = np.random.default_rng(0)
        last = [sequential_sign_flips(worsening + shift, n_max, rng=rng)[-1] for shift in (margin, -margin)]
        if all(look.decides for look in last) and last[0].mean > 0 > last[1].mean:
            return Stop.EQUIVALENT, max(look.n for look in last)
    return (Stop.ALL_PAIRS, n_max) if worsening.size >= n_max else (None, None)


def _verdict(answer: PairedAnswer, comparison: Comparison) -> Answer:
    if comparison.failures.new:
        return Answer.WORSE
    if answer.by_metric is Answer.INCONCLUSIVE and comparison.verdict is Answer.EQUIVALENT:
        return Answer.EQUIVALENT
    return answer.by_metric
