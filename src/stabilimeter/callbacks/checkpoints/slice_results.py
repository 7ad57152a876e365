"""A verdict for each slice of the examples."""

from dataclasses import replace

import numpy as np

from stabilimeter.callbacks.checkpoints.example_changes import flips_between
from stabilimeter.callbacks.checkpoints.outcomes import Outcomes, paired_test
from stabilimeter.records.checkpoint_log import SliceResult
from stabilimeter.stats.checkpoint_verdict import Rule, judged_by_examples
from stabilimeter.stats.multiplicity import holm


def slice_results(
    outcomes: Outcomes, best: Outcomes | None, best_step: int, tested: str, rule: Rule, num_candidates: int
) -> tuple[SliceResult, ...]:
    """Each slice against the best evaluation before, all of them together at the level of the rule.

    Args:
        outcomes: Of this evaluation.
        best: Of the best before; None if there is none.
        best_step: Its step.
        tested: The outcome to test.
        rule: When a difference of that outcome counts.
        num_candidates: The best is that of so many.
    """
    parts = [(name, outcomes.chosen(chosen)) for name, chosen in outcomes.slices()]
    tests = [paired_test(best, part, tested) for _, part in parts]
    adjusted = iter(holm([test.p for test in tests if test is not None]))
    found = []
    for (name, part), test in zip(parts, tests, strict=True):
        flipped = flips_between(best, part)
        result = SliceResult(
            name=name,
            n=part.keys.size,
            value=float(np.mean(part.values[tested], dtype=np.float64)),
            negative=None if flipped is None else flipped.negative,
        )
        if test is not None:
            fair = replace(test, p=next(adjusted))
            result = replace(result, comparison=judged_by_examples(fair, best_step, rule, num_candidates))
        found.append(result)
    return tuple(found)
