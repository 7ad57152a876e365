"""From a sweep over learning rates to how much they matter, and where training begins to fail."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from stabilimeter.analysis.group import UNFINISHED
from stabilimeter.analysis.primary import primary_of
from stabilimeter.analysis.recipe_error import RecipeError
from stabilimeter.analysis.roles import is_loss, only_validation_loss
from stabilimeter.analysis.summary import GroupSummary, RunSummary, Summary
from stabilimeter.records import keys
from stabilimeter.records.directions import mode_of
from stabilimeter.records.run import Run
from stabilimeter.records.settings import number_setting
from stabilimeter.records.sweep import RunGroup, Sweep
from stabilimeter.stats.intervals import Interval, wilson_interval
from stabilimeter.stats.lr_sensitivity import TOLERANCE, LrSensitivity, capped, lr_sensitivity

SCHEMA = 1
NOTHING_GAINED = "nothing gained"
"""Reason of a run that ends at a finite loss no lower than that before training."""
_UNFINISHED = tuple(status.value for status in UNFINISHED)


@dataclass(frozen=True)
class LrPoint:
    """What happened at one learning rate.

    Attributes:
        lr: The learning rate.
        losses: Final loss of each finished seed; not finite where there is none.
        scores: The same, capped at the loss of that seed before training; a failed run without a loss counts as that.
        failed: Which of these seeds failed, by the rules of the summary or because nothing was gained.
        reasons: Why, one per failed seed.
        mean: Mean of the scores.
        failure_ci: Wilson 95 % interval of the share of failed seeds.
    """

    lr: float
    losses: Mapping[str, float]
    scores: Mapping[str, float]
    failed: Mapping[str, bool]
    reasons: tuple[str, ...]
    mean: float
    failure_ci: Interval

    @property
    def n(self) -> int:
        """Finished seeds."""
        return len(self.losses)

    @property
    def n_failed(self) -> int:
        """Failed seeds."""
        return sum(self.failed.values())


@dataclass(frozen=True)
class LrCurve:
    """One training recipe over its learning rates.

    Attributes:
        label: What tells it from the other recipes of the sweep; empty if it is the only one.
        metric: The loss it is judged by.
        points: By learning rate, ascending.
        result: Sensitivity and stable region, from the seeds that finished at every learning rate.
        num_seeds: How many those are.
        fails_from: Lowest learning rate above the best one at which a seed failed; None if none did.
        notes: Sentences for the reader.
    """

    label: str
    metric: str
    points: tuple[LrPoint, ...]
    result: LrSensitivity
    num_seeds: int
    fails_from: float | None
    notes: tuple[str, ...] = ()

    @property
    def safe_to(self) -> LrPoint | None:
        """The last learning rate from the best one upwards before a seed fails; None if the best one has failures."""
        below = [point for point in self.points if self.result.best_lr <= point.lr < (self.fails_from or math.inf)]
        return below[-1] if below else None


@dataclass(frozen=True)
class LrReport:
    """All recipes of the sweep."""

    curves: tuple[LrCurve, ...]

    def to_dict(self) -> dict[str, Any]:
        """In the layout of ``lr_sensitivity.json``; non-finite numbers are floats, see ``records.strict_json``."""
        plain = [{**asdict(curve), "range": [curve.points[0].lr, curve.points[-1].lr]} for curve in self.curves]
        return {"schema": SCHEMA, "tolerance": TOLERANCE, "curves": plain}


def lr_report(
    sweep: Sweep, summary: Summary, *, lr_key: str = "lr", metric: str | None = None, initial: float | None = None
) -> LrReport:
    """Sensitivity to the learning rate of every recipe in a sweep.

    Args:
        sweep: Runs of our own, at two or more learning rates.
        summary: Its summary, which knows the failed seeds.
        lr_key: Where the learning rate stands in the configuration of a run.
        metric: The loss to judge by; default: the primary metric if it is a loss, else the only validation loss.
        initial: Its value before training; default: the training loss of the first step, median over the runs of a
            seed. Needed where the metric is no loss.

    Raises:
        RecipeError: if the runs do not answer the question.
    """
    runs = [run for group in sweep.groups for run in group.runs]
    tag = metric or _loss_of(runs)
    if not any(tag in run for run in runs):
        raise RecipeError(f"no run has logged {tag}; give the name of a metric that is logged")
    if initial is None and not is_loss(tag):
        raise RecipeError(f"what {tag} is before training is not known: give initial=..., or a loss as metric")
    if mode_of(tag) == "max":
        raise RecipeError(f"a higher {tag} is better, but sensitivity is that of a loss: give metric=... one")
    start = _initial_losses(runs) if initial is None else {str(run.seed): initial for run in runs}
    variants: dict[str, dict[float, list[tuple[Run, RunSummary]]]] = {}
    for group, own in zip(sweep.groups, summary.groups, strict=True):
        for lr, pairs in _by_lr(group, own, lr_key).items():
            variants.setdefault(_variant(group.label, lr_key), {}).setdefault(lr, []).extend(pairs)
    if not variants:
        raise RecipeError(f"no run has a learning rate at {lr_key} of its configuration")
    labels = list(variants) if len(variants) > 1 else [""]
    curves = [_curve(label, tag, by_lr, start) for label, by_lr in zip(labels, variants.values(), strict=True)]
    return LrReport(tuple(curves))


def _loss_of(runs: Sequence[Run]) -> str:
    tags = sorted({tag for run in runs for tag in run})
    primary = primary_of(runs).tag
    chosen = primary if primary is not None and is_loss(primary) else only_validation_loss(tags)
    if chosen is None:
        raise RecipeError("no validation loss, or several: name the metric to judge by; there are: " + ", ".join(tags))
    return chosen


def _initial_losses(runs: Sequence[Run]) -> dict[str, float]:
    """The loss of each seed before training; that of the others where none of its runs has recorded it."""
    first: dict[str, list[float]] = {str(run.seed): [] for run in runs}
    for run in runs:
        if keys.LOSS in run and run[keys.LOSS].steps[0] == 0 and math.isfinite(run[keys.LOSS].values[0]):
            first[str(run.seed)].append(float(run[keys.LOSS].values[0]))
    known = [value for values in first.values() for value in values]
    if not known:
        raise RecipeError(f"no run has recorded {keys.LOSS} at step 0, which tells the loss before training")
    return {seed: float(np.median(values or known)) for seed, values in first.items()}


def _by_lr(group: RunGroup, summary: GroupSummary, lr_key: str) -> dict[float, list[tuple[Run, RunSummary]]]:
    found: dict[float, list[tuple[Run, RunSummary]]] = {}
    for run, own in zip(group.runs, summary.runs, strict=True):
        lr = number_setting(run, lr_key)
        if lr is not None and lr > 0 and own.status not in _UNFINISHED and own.copy_of is None:
            found.setdefault(lr, []).append((run, own))
    return found


def _variant(label: str, lr_key: str) -> str:
    """The label of a group without its learning rate.

    >>> _variant("width=64/lr=0.1", "lr"), _variant("model.lr=0.1,width=64", "model.lr")
    ('width=64', 'width=64')
    """
    parts = [part for part in re.split(r"[/,]", label) if part.lstrip("+").partition("=")[0] != lr_key]
    return ",".join(parts)


def _curve(
    label: str, tag: str, by_lr: Mapping[float, Sequence[tuple[Run, RunSummary]]], initial: Mapping[str, float]
) -> LrCurve:
    lrs = sorted(by_lr)
    if len(lrs) < 2:
        raise RecipeError(f"{label or 'the sweep'} has one learning rate ({lrs[0]:g}): give two or more, lr=0.001,0.01")
    points = [_point(lr, by_lr[lr], tag, initial) for lr in lrs]
    complete = [seed for seed in points[0].losses if all(seed in point.losses for point in points)]
    if not complete:
        raise RecipeError(f"no seed has finished at every learning rate of {label or 'the sweep'}: resume it")
    losses = np.array([[point.losses[seed] for point in points] for seed in complete])
    failed = np.array([[point.failed[seed] for point in points] for seed in complete])
    try:
        result = lr_sensitivity(np.array(lrs), losses, np.array([initial[seed] for seed in complete]), failed=failed)
    except ValueError as error:
        raise RecipeError(str(error)) from error
    failing = [point.lr for point in points if point.n_failed and point.lr >= result.best_lr]
    return LrCurve(
        label, tag, tuple(points), result, len(complete), min(failing, default=None), _notes(points, len(complete))
    )


def _point(lr: float, pairs: Sequence[tuple[Run, RunSummary]], tag: str, initial: Mapping[str, float]) -> LrPoint:
    losses = {str(own.seed): own.metrics[tag].final if tag in own.metrics else math.nan for _, own in pairs}
    scores = {seed: float(capped(np.array(loss), initial[seed])) for seed, loss in losses.items()}
    reasons = {str(own.seed): _failure(own, losses[str(own.seed)], initial[str(own.seed)]) for _, own in pairs}
    failed = {seed: reason is not None for seed, reason in reasons.items()}
    return LrPoint(
        lr=lr,
        losses=losses,
        scores=scores,
        failed=failed,
        reasons=tuple(reason for reason in reasons.values() if reason is not None),
        mean=float(np.mean(list(scores.values()))),
        failure_ci=wilson_interval(sum(failed.values()), len(failed)),
    )


def _failure(run: RunSummary, loss: float, initial: float) -> str | None:
    """Why a run failed: by the rules of the summary, or because it ends no better than it began."""
    if run.failed:
        return run.failure_reason or ""
    return f"{NOTHING_GAINED}: {loss:.4g} at the end, {initial:.4g} before training" if loss >= initial else None


def _notes(points: Iterable[LrPoint], num_complete: int) -> tuple[str, ...]:
    incomplete = [f"{point.n} at {point.lr:g}" for point in points if point.n != num_complete]
    notes = []
    if incomplete:
        notes.append(
            f"the sensitivity is of the {num_complete} seeds that finished at every learning rate; "
            f"other numbers of seeds: {', '.join(incomplete)}"
        )
    if num_complete < 3:
        notes.append(f"{num_complete} seeds give no interval: 3 or more do")
    return tuple(notes)
