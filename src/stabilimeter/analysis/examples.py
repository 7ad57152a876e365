"""Where the seeds of a group agree and where they do not, example by example."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from stabilimeter.records.example_log import ExampleLog
from stabilimeter.stats.example_agreement import (
    pairwise_churn,
    seed_sd,
    seed_variance,
    seed_variance_by_halves,
)

MAX_LISTED = 20


@dataclass(frozen=True)
class Example:
    """One example, over the seeds.

    Attributes:
        key: Which one, as recorded: its index in the data set.
        confidence: Mean probability of the true class, over evaluations and seeds.
        variability: Standard deviation over the evaluations of a seed, mean over seeds.
        correctness: Share of evaluations and seeds that got it right.
    """

    key: int
    confidence: float
    variability: float
    correctness: float


@dataclass(frozen=True)
class GroupExamples:
    """The seeds that did not fail, at their last evaluation, on the examples that all of them have seen.

    Attributes:
        n_seeds: Seeds.
        n_examples: Examples.
        churn: Share of the examples on which two seeds differ, in the mean over pairs of seeds.
        churn_max: The same for the pair that differs most.
        churn_of: ``"predictions"``, or ``"outcomes"`` (right or wrong) where predictions are not recorded.
        accuracy_sd: Standard deviation over seeds of the accuracy on these very examples.
        distribution_sd: The same with the noise of the test set taken out: how different the seeds are on new data.
        distribution_sd_by_halves: Another estimate of that, from two random halves of the examples.
        hardest: The examples of the lowest confidence.
        most_ambiguous: Those of the highest variability.
    """

    n_seeds: int
    n_examples: int
    churn: float
    churn_max: float
    churn_of: str
    accuracy_sd: float | None
    distribution_sd: float | None
    distribution_sd_by_halves: float | None
    hardest: tuple[Example, ...]
    most_ambiguous: tuple[Example, ...]


@dataclass(frozen=True)
class ExampleMap:
    """The map of a data set: every example, over the seeds; arrays of shape ``(n,)``. See `stats.training_dynamics`."""

    keys: NDArray[np.int64]
    confidence: NDArray[np.float64]
    variability: NDArray[np.float64]
    correctness: NDArray[np.float64]

    def at(self, index: int) -> Example:
        """One of them."""
        columns = (self.confidence, self.variability, self.correctness)
        return Example(int(self.keys[index]), *(float(column[index]) for column in columns))


def example_map(logs: Sequence[ExampleLog]) -> ExampleMap | None:
    """The map over several seeds, on the examples that all of them have seen; None if one has recorded none."""
    if not logs:
        return None
    keys, rows = _common(logs)
    columns = []
    for name in ("confidence", "variability", "correctness"):
        found = [getattr(log, name) for log in logs]
        if any(column is None for column in found):
            return None
        columns.append(
            np.mean([np.asarray(column[row], float) for column, row in zip(found, rows, strict=True)], axis=0)
        )
    return ExampleMap(keys, *columns)


def group_examples(logs: Sequence[ExampleLog], rng: np.random.Generator) -> GroupExamples | None:
    """What the examples of the seeds say together; None for fewer than two seeds, or examples in common.

    Args:
        logs: Of each seed that did not fail.
        rng: Chooses the halves.
    """
    if len(logs) < 2:
        return None
    keys, rows = _common(logs)
    outcomes = _stacked([log.correct for log in logs], rows)
    correct = None if outcomes is None else outcomes.astype(bool)
    predictions = _stacked([log.prediction for log in logs], rows)
    answers = outcomes if predictions is None else predictions
    if keys.size < 2 or answers is None:
        return None
    churn = pairwise_churn(answers)[np.triu_indices(len(logs), 1)]
    charted = example_map(logs)
    by_confidence = [] if charted is None else np.argsort(charted.confidence, kind="stable")[:MAX_LISTED].tolist()
    by_variability = [] if charted is None else np.argsort(-charted.variability, kind="stable")[:MAX_LISTED].tolist()
    return GroupExamples(
        n_seeds=len(logs),
        n_examples=int(keys.size),
        churn=float(churn.mean()),
        churn_max=float(churn.max()),
        churn_of="outcomes" if predictions is None else "predictions",
        accuracy_sd=None if correct is None else float(correct.mean(axis=1).std(ddof=1)),
        distribution_sd=None if correct is None else seed_sd(seed_variance(correct)),
        distribution_sd_by_halves=None if correct is None else seed_sd(seed_variance_by_halves(correct, rng=rng)),
        hardest=() if charted is None else tuple(charted.at(index) for index in by_confidence),
        most_ambiguous=() if charted is None else tuple(charted.at(index) for index in by_variability),
    )


def _common(logs: Sequence[ExampleLog]) -> tuple[NDArray[np.int64], list[NDArray[np.intp]]]:
    """The keys that all have, and where they are in each."""
    keys = reduce(np.intersect1d, [log.keys for log in logs])
    return keys, [np.searchsorted(log.keys, keys) for log in logs]


def _stacked(
    columns: Sequence[NDArray[np.generic] | None], rows: Sequence[NDArray[np.intp]]
) -> NDArray[np.int64] | None:
    found = [column[row].astype(np.int64) for column, row in zip(columns, rows, strict=True) if column is not None]
    return np.stack(found) if len(found) == len(columns) else None
