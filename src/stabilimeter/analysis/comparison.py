"""What a comparison of two groups of seeds says, as frozen values that know their JSON form."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

SCHEMA = 1

Pair = tuple[float, float]
"""Something of the baseline, and the same of the candidate."""


class ComparisonError(ValueError):
    """Two groups cannot be compared; the message is one line: why not, and what to do."""


class Answer(str, Enum):
    """The four answers about the candidate."""

    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"


class Margin(str, Enum):
    """Where a margin comes from."""

    GIVEN = "given"
    SEED_SD = "baseline's seed SD"


@dataclass(frozen=True)
class MetricComparison:
    """Final values of one metric, baseline against candidate, over the seeds that did not fail.

    Attributes:
        mode: ``"min"`` or ``"max"``: which direction is better.
        n: Seeds that were compared; pairs, if paired.
        mean: Their means.
        sd: Their standard deviations.
        difference: Mean of the candidate less mean of the baseline, in the unit of the metric.
        ci: Its 95 % interval: Welch's, or Student's over pairs.
        p: Of the permutation test, two-sided; of the sign-flip test, if paired.
        p_holm: The same, Holm-adjusted over all metrics of this comparison.
        p_min: The smallest p that so many seeds can give.
        exact: Whether every relabeling was counted rather than a sample of them.
        paired: Whether runs with the same seed were compared with each other.
        p_candidate_better: Chance that a run of the candidate beats one of the baseline; a tie counts one half.
        margin: The largest difference that does not matter; None if there is none, and then nothing is equivalent.
        margin_from: Where the margin comes from.
        answer: The answer by this metric alone.
        seeds_needed: Seeds per side for 80 % power to tell a difference as large as the observed one from zero.
        seeds_for_equivalence: Seeds per side for 80 % power to show equivalence, if the observed difference is true.
    """

    mode: str
    n: tuple[int, int]
    mean: Pair
    sd: Pair
    difference: float
    ci: Pair
    p: float
    p_holm: float
    p_min: float
    exact: bool
    paired: bool
    p_candidate_better: float
    margin: float | None
    margin_from: Margin | None
    answer: Answer
    seeds_needed: int | None
    seeds_for_equivalence: int | None

    @property
    def worsening(self) -> float:
        """The difference, positive if the candidate is worse."""
        return self.difference if self.mode == "min" else -self.difference

    @property
    def worsening_ci(self) -> Pair:
        """The interval of the worsening."""
        low, high = self.ci
        return (low, high) if self.mode == "min" else (-high, -low)

    @property
    def is_not_worse(self) -> bool:
        """Whether the interval rules out that the candidate is worse by the margin or more."""
        return self.margin is not None and self.worsening_ci[1] <= self.margin


@dataclass(frozen=True)
class SpreadComparison:
    """How far the final values of the seeds scatter.

    Attributes:
        metric: The metric concerned; None if no metric could be compared.
        sd: Standard deviations over seeds.
        ratio: Candidate by baseline; None if the baseline has no spread.
        p: Of Brown and Forsythe's test; None for fewer than 3 seeds on a side.
        answer: ``better`` (narrower) or ``worse`` only from 10 seeds per side on: with fewer the test sees little.
        reason: Why there is no answer, if so.
    """

    metric: str | None
    sd: Pair | None
    ratio: float | None
    p: float | None
    answer: Answer
    reason: str | None


@dataclass(frozen=True)
class FailureComparison:
    """Failed seeds.

    Attributes:
        k: Failed.
        n: Finished.
        p: Of Fisher's exact test, two-sided.
        new: Whether a larger share failed than in the baseline. That alone makes the candidate worse, whatever p says:
            0 of 5 against 2 of 5 has p = 0.44, and nobody would ship it.
    """

    k: tuple[int, int]
    n: tuple[int, int]
    p: float
    new: bool


@dataclass(frozen=True)
class StabilityComparison:
    """Stability scores, both in units of the baseline's yardstick.

    Attributes:
        score: Both scores; None where undefined.
        difference: Candidate less baseline, in points of 100.
        ci: Its 95 % interval, failures nobody has seen yet included.
        given_completion: The same difference given that seeds complete.
        given_completion_ci: Its 95 % interval.
        answer: ``better`` or ``worse`` if ``given_completion_ci`` excludes zero.
        not_measured: Components that could not be measured in every seed of both sides, and are left out.
        reason: Why there is no difference, or no interval.
    """

    score: tuple[float | None, float | None]
    difference: float | None
    ci: Pair | None
    given_completion: float | None
    given_completion_ci: Pair | None
    answer: Answer
    not_measured: tuple[str, ...]
    reason: str | None


@dataclass(frozen=True)
class Comparison:
    """Everything that was found.

    Attributes:
        labels: Of the two groups.
        primary_metric: The metric that decides; None if all of ``metrics`` do.
        metrics: By name, the primary one first.
        spread: Of the primary metric, else of the first one.
        failures: Failed seeds.
        stability: Stability scores.
        verdict: The answer as a whole.
        notes: Sentences for the reader.
    """

    labels: tuple[str, str]
    primary_metric: str | None
    metrics: Mapping[str, MetricComparison]
    spread: SpreadComparison
    failures: FailureComparison
    stability: StabilityComparison
    verdict: Answer
    notes: tuple[str, ...] = ()

    @property
    def deciding(self) -> Mapping[str, MetricComparison]:
        """The metrics that the verdict rests on."""
        if self.primary_metric is None:
            return self.metrics
        return {tag: metric for tag, metric in self.metrics.items() if tag == self.primary_metric}

    def to_dict(self) -> dict[str, Any]:
        """The comparison in the layout of ``compare --json``, without the sentence."""
        plain = asdict(self)
        return {"schema": SCHEMA, **plain, "metrics": {tag: asdict(metric) for tag, metric in self.metrics.items()}}
