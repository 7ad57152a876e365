"""Each evaluation against the best before it and against the one just before it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stabilimeter.callbacks.outcomes import CORRECT, DIRECTIONS, LOSS, PREDICTION, SCORE, Outcomes
from stabilimeter.records.checkpoint_log import ExampleChanges, SliceResult
from stabilimeter.stats.checkpoint_regression import MIN_COUNTED_SHARE, best_so_far, drawdown
from stabilimeter.stats.checkpoint_verdict import (
    MEDIAN_OF_3_VARIANCE,
    Comparison,
    Rule,
    judged_by_examples,
    judged_by_noise,
    not_finite,
)
from stabilimeter.stats.evaluation_noise import EvaluationNoise, series_noise
from stabilimeter.stats.example_agreement import pairwise_churn
from stabilimeter.stats.flips import flips
from stabilimeter.stats.forgetting import History, begun, seen
from stabilimeter.stats.levels import oriented
from stabilimeter.stats.multiplicity import holm
from stabilimeter.stats.paired import PairedTest, paired_correctness, paired_difference


@dataclass(frozen=True)
class Judgement:
    """What is to be said about one evaluation; see `records.checkpoint_log.Evaluation`."""

    against_best: Comparison | None
    against_previous: Comparison | None
    drawdown: float
    examples: ExampleChanges | None
    slices: tuple[SliceResult, ...]


@dataclass(frozen=True)
class _Past:
    step: int
    value: float
    outcomes: Outcomes | None


class EvaluationJudge:
    """Remembers the metric of every evaluation, and the outcomes of the best, of the last, and what was ever learned.

    Memory is bounded by the number of examples, not of evaluations.

    Args:
        rule: When a difference counts; its mode is that of the monitored metric.
        judge_by: Outcome to test, one of `DIRECTIONS`; None for the first of those there are, "loss" first where the
            metric is to be small.

    Attributes:
        examples_changed: Whether an evaluation had other examples than the one before.
    """

    def __init__(self, rule: Rule, judge_by: str | None = None) -> None:
        self._rule = rule
        self._judge_by = judge_by
        self._steps: list[int] = []
        self._values: list[float] = []
        self._best: _Past | None = None
        self._previous: _Past | None = None
        self._history: History | None = None
        self._history_keys: NDArray[np.int64] | None = None
        self.examples_changed = False

    @property
    def last_step(self) -> int | None:
        """Step of the last evaluation."""
        return self._steps[-1] if self._steps else None

    def judged(
        self,
        step: int,
        value: float,
        outcomes: Outcomes | None = None,
        sibling_noise: EvaluationNoise | None = None,
        *,
        is_healthy: bool = True,
    ) -> Judgement:
        """The answer for one more evaluation.

        Args:
            step: Last optimizer step done.
            value: The monitored metric.
            outcomes: Example by example, if known.
            sibling_noise: What siblings say about the noise of an evaluation at this step.
            is_healthy: Whether the model is; if not, this is never the best, however good it looks.

        Raises:
            ValueError: if ``outcomes`` lack what is to be judged by.
        """
        tested = None if outcomes is None else self._tested(outcomes)
        noise = sibling_noise or series_noise(np.array(self._values))
        candidates = sum(map(math.isfinite, self._values))
        present = _Past(step, value, outcomes)
        against_best = self._compared(present, self._best, tested, noise, candidates, is_best=True)
        against_previous = self._compared(present, self._previous, tested, noise, 1, is_best=False)
        slices = () if outcomes is None or tested is None else self._slices(outcomes, tested, candidates)
        self._steps.append(step)
        self._values.append(value)
        examples = None if outcomes is None else self._examples(outcomes)
        behind = float(drawdown(oriented(np.array(self._values), self._rule.mode))[-1])
        if is_healthy and math.isfinite(value) and (self._best is None or self._is_better(value, self._best.value)):
            self._best = present
        self._previous = present
        return Judgement(against_best, against_previous, behind, examples, slices)

    def _is_better(self, value: float, other: float) -> bool:
        return value > other if self._rule.mode == "max" else value < other

    def _tested(self, outcomes: Outcomes) -> str | None:
        if self._judge_by is not None:
            if self._judge_by not in outcomes.values:
                raise ValueError(
                    f"judge_by is {self._judge_by!r}, but validation_step returned "
                    f"{', '.join(sorted(outcomes.values)) or 'nothing'} beside 'index'"
                )
            return self._judge_by
        order = (LOSS, CORRECT, SCORE) if self._rule.mode == "min" else (CORRECT, SCORE, LOSS)
        return next((name for name in order if name in outcomes.values), None)

    def _compared(
        self,
        present: _Past,
        past: _Past | None,
        tested: str | None,
        noise: EvaluationNoise | None,
        candidates: int,
        *,
        is_best: bool,
    ) -> Comparison | None:
        if past is None:
            return None
        if not (math.isfinite(present.value) and math.isfinite(past.value)):
            return not_finite(present.value, past.value, past.step)
        test = None if tested is None else _paired(past.outcomes, present.outcomes, tested)
        if test is not None and tested is not None:
            return judged_by_examples(test, past.step, replace(self._rule, mode=DIRECTIONS[tested]), candidates)
        if noise is None:
            return None
        reference, variance = past.value, 1.0
        if is_best:  # one lucky evaluation does not set the mark
            sign = -1.0 if self._rule.mode == "max" else 1.0
            finite = oriented(np.array([v for v in self._values if math.isfinite(v)]), self._rule.mode)
            reference, variance = sign * float(best_so_far(finite)[-1]), MEDIAN_OF_3_VARIANCE
        gained = abs(past.value - next(v for v in self._values if math.isfinite(v)))
        rule = replace(self._rule, min_difference=max(self._rule.min_difference, MIN_COUNTED_SHARE * gained))
        return judged_by_noise(
            present.value,
            reference,
            past.step,
            noise,
            rule,
            num_candidates=candidates,
            reference_variance=variance,
        )

    def _examples(self, outcomes: Outcomes) -> ExampleChanges:
        changes = ExampleChanges(outcomes.keys.size)
        before = None if self._previous is None else _common(self._previous.outcomes, outcomes)
        if before is not None and PREDICTION in outcomes.values and PREDICTION in before[0].values:
            predictions = np.stack([side.values[PREDICTION] for side in before])
            changes = replace(changes, churn=float(pairwise_churn(predictions)[0, 1]))
        if CORRECT not in outcomes.values:
            return changes
        correct = outcomes.values[CORRECT]
        if self._history is None or self._history_keys is None:
            self._history, self._history_keys = begun(correct), outcomes.keys
        elif not np.array_equal(self._history_keys, outcomes.keys):
            self.examples_changed = True
            self._history, self._history_keys = begun(correct), outcomes.keys
        else:
            self._history = seen(self._history, correct)
        changes = replace(
            changes,
            forgotten=self._history.forgotten,
            forgetting_events=int(self._history.events.sum()),
            never_learned=self._history.never_learned,
        )
        best = None if self._best is None else _common(self._best.outcomes, outcomes)
        if best is None or CORRECT not in best[0].values:
            return changes
        flipped = flips(best[0].values[CORRECT], best[1].values[CORRECT])
        return replace(changes, negative=flipped.negative, positive=flipped.positive)

    def _slices(self, outcomes: Outcomes, tested: str, candidates: int) -> tuple[SliceResult, ...]:
        found: list[SliceResult] = []
        tests: list[PairedTest | None] = []
        for name, chosen in _slices_of(outcomes):
            part = _chosen(outcomes, chosen)
            best = None if self._best is None else _common(self._best.outcomes, part)
            test = None if best is None else _test(*best, tested)
            negative = None
            if best is not None and CORRECT in best[0].values and CORRECT in best[1].values:
                negative = flips(best[0].values[CORRECT], best[1].values[CORRECT]).negative
            value = float(np.mean(part.values[tested], dtype=np.float64))
            found.append(SliceResult(name, int(chosen.sum()), value, negative))
            tests.append(test)
        adjusted = iter(holm([test.p for test in tests if test is not None]))
        rule = replace(self._rule, mode=DIRECTIONS[tested])
        return tuple(
            result
            if test is None or self._best is None
            else replace(
                result,
                comparison=judged_by_examples(replace(test, p=next(adjusted)), self._best.step, rule, candidates),
            )
            for result, test in zip(found, tests, strict=True)
        )

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain Python."""
        history = None
        if self._history is not None and self._history_keys is not None:
            history = [torch.from_numpy(array) for array in (*self._history, self._history_keys)]
        return {
            "steps": list(self._steps),
            "values": list(self._values),
            "best": _plain(self._best),
            "previous": _plain(self._previous),
            "history": history,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        self._steps, self._values = list(state["steps"]), list(state["values"])
        self._best, self._previous = _past(state["best"]), _past(state["previous"])
        self._history = self._history_keys = None
        if state["history"] is not None:
            *history, self._history_keys = (tensor.cpu().numpy() for tensor in state["history"])
            self._history = History(*history)


def _plain(past: _Past | None) -> dict[str, Any] | None:
    if past is None:
        return None
    outcomes = None if past.outcomes is None else past.outcomes.state_dict()
    return {"step": past.step, "value": past.value, "outcomes": outcomes}


def _past(plain: Mapping[str, Any] | None) -> _Past | None:
    if plain is None:
        return None
    outcomes = None if plain["outcomes"] is None else Outcomes.from_state_dict(plain["outcomes"])
    return _Past(plain["step"], plain["value"], outcomes)


def _common(old: Outcomes | None, new: Outcomes | None) -> tuple[Outcomes, Outcomes] | None:
    """Both, on the examples that they share; None if there are none."""
    if old is None or new is None:
        return None
    if np.array_equal(old.keys, new.keys):
        return old, new
    common, in_old, in_new = np.intersect1d(old.keys, new.keys, assume_unique=True, return_indices=True)
    return (_chosen(old, in_old), _chosen(new, in_new)) if common.size else None


def _chosen(outcomes: Outcomes, which: NDArray[Any]) -> Outcomes:
    return Outcomes(outcomes.keys[which], {name: values[which] for name, values in outcomes.values.items()})


def _paired(old: Outcomes | None, new: Outcomes | None, tested: str) -> PairedTest | None:
    common = _common(old, new)
    return None if common is None else _test(*common, tested)


def _test(old: Outcomes, new: Outcomes, tested: str) -> PairedTest | None:
    if tested not in old.values or tested not in new.values:
        return None
    before, after = old.values[tested], new.values[tested]
    if tested == CORRECT:
        return paired_correctness(before, after)
    differences = after.astype(np.float64) - before
    return paired_difference(differences) if np.all(np.isfinite(differences)) else None


def _slices_of(outcomes: Outcomes) -> list[tuple[str, NDArray[np.bool_]]]:
    """Name and examples of every slice: those that the user names, and the dataloaders where there are several."""
    slices: list[tuple[str, NDArray[np.bool_]]] = []
    if outcomes.slice_codes is not None:
        slices += [(name, outcomes.slice_codes == code) for code, name in enumerate(outcomes.slice_names)]
    loaders = np.unique(outcomes.loaders)
    if loaders.size > 1:
        slices += [(f"dataloader {loader}", outcomes.loaders == loader) for loader in loaders]
    return slices
