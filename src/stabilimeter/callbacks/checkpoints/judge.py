"""Each evaluation against the best before it and against the one just before it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stabilimeter.callbacks.checkpoints.example_changes import ExampleHistory
from stabilimeter.callbacks.checkpoints.outcomes import CORRECT, DIRECTIONS, LOSS, SCORE, Outcomes, paired_test
from stabilimeter.callbacks.checkpoints.slice_results import slice_results
from stabilimeter.records.checkpoint_log import ExampleChanges, SliceResult
from stabilimeter.stats.checkpoint_regression import MIN_COUNTED_SHARE, best_so_far, drawdown
from stabilimeter.stats.checkpoint_verdict import (
    MEDIAN_OF_3_VARIANCE,
    Comparison,
    Rule,
    Verdict,
    judged_by_examples,
    judged_by_noise,
    not_finite,
)
from stabilimeter.stats.evaluation_noise import EvaluationNoise, series_noise
from stabilimeter.stats.levels import oriented


@dataclass(frozen=True)
class Judgement:
    """What is to be said about one evaluation; see `records.checkpoint_log.Evaluation`."""

    against_best: Comparison | None
    against_previous: Comparison | None
    drawdown: float
    examples: ExampleChanges | None
    slices: tuple[SliceResult, ...]

    @property
    def verdict(self) -> Verdict | None:
        """Against the best before; None where nothing can be said yet."""
        return None if self.against_best is None else self.against_best.verdict


@dataclass(frozen=True)
class _Past:
    step: int
    value: float
    outcomes: Outcomes | None


class EvaluationJudge:
    """Remembers the metric of every evaluation, and the outcomes of the best, of the last, and what was ever learned.

    Memory is bounded by the number of examples; of an evaluation two numbers are kept.

    Args:
        rule: When a difference counts; its mode is that of the monitored metric.
        judge_by: Outcome to test, one of `DIRECTIONS`; None for the first of those there are, "loss" first where the
            metric is to be small.
    """

    def __init__(self, rule: Rule, judge_by: str | None = None) -> None:
        self._rule = rule
        self._judge_by = judge_by
        self._steps: list[int] = []
        self._values: list[float] = []
        self._best: _Past | None = None
        self._previous: _Past | None = None
        self._history = ExampleHistory()

    @property
    def last_step(self) -> int | None:
        """Step of the last evaluation."""
        return self._steps[-1] if self._steps else None

    @property
    def examples_changed(self) -> bool:
        """Whether an evaluation had other examples than the one before."""
        return self._history.was_interrupted

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
        best = None if self._best is None else self._best.outcomes
        previous = None if self._previous is None else self._previous.outcomes
        examples = None if outcomes is None else self._history.changes(outcomes, best, previous)
        slices: tuple[SliceResult, ...] = ()
        if outcomes is not None and tested is not None:
            best_step = -1 if self._best is None else self._best.step
            slices = slice_results(outcomes, best, best_step, tested, self._rule_of(tested), candidates)
        self._steps.append(step)
        self._values.append(value)
        behind = float(drawdown(oriented(np.array(self._values), self._rule.mode))[-1])
        if is_healthy and math.isfinite(value) and (self._best is None or self._is_better(value, self._best.value)):
            self._best = present
        self._previous = present
        return Judgement(against_best, against_previous, behind, examples, slices)

    def recall(self, step: int, value: float) -> None:
        """Take in an evaluation that only the record knows: it followed the checkpoint that was resumed, at its step.

        Its outcomes are lost, so the best and the previous one stay those that are known example by example.
        """
        self._steps.append(step)
        self._values.append(value)

    def _is_better(self, value: float, other: float) -> bool:
        return value > other if self._rule.mode == "max" else value < other

    def _rule_of(self, tested: str) -> Rule:
        return replace(self._rule, mode=DIRECTIONS[tested])

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
        test = None if tested is None else paired_test(past.outcomes, present.outcomes, tested)
        if test is not None and tested is not None:
            return judged_by_examples(test, past.step, self._rule_of(tested), candidates)
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

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain Python."""
        return {
            "steps": list(self._steps),
            "values": list(self._values),
            "best": _plain(self._best),
            "previous": _plain(self._previous),
            "history": self._history.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        self._steps, self._values = list(state["steps"]), list(state["values"])
        self._best, self._previous = _past(state["best"]), _past(state["previous"])
        self._history.load_state_dict(state["history"])


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
