"""Final values of one metric, baseline against candidate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stabilimeter.analysis.comparison import Answer, Margin, MetricComparison
from stabilimeter.analysis.pairing import pairs_of
from stabilimeter.analysis.side import Side
from stabilimeter.stats.effect import Difference, chance_of_less, paired_difference, welch_difference
from stabilimeter.stats.multiplicity import holm
from stabilimeter.stats.permutation import PermutationTest, sign_flip_test, two_sample_test
from stabilimeter.stats.power import ALPHA, Noise, seeds_to_equate, seeds_to_tell
from stabilimeter.stats.seeds import unbiased_sd

MIN_VALUES = 2


@dataclass(frozen=True)
class Samples:
    """What one metric gives to compare.

    Attributes:
        first: Final values of the baseline, shape ``(n,)``.
        second: Of the candidate, shape ``(m,)``; in the order of ``first``, if paired.
        paired: Whether they belong together in pairs.
    """

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    paired: bool

    @property
    def noise(self) -> Noise:
        """The standard deviations over seeds that the difference has to be seen against."""
        if self.paired:
            return Noise(float(np.std(self.second - self.first, ddof=1)))
        return Noise(float(self.first.std(ddof=1)), float(self.second.std(ddof=1)))

    @property
    def difference(self) -> Difference:
        """Mean of the candidate less mean of the baseline, with its 95 % interval."""
        if self.paired:
            return paired_difference(self.second - self.first)
        return welch_difference(self.first, self.second)

    def test(self, rng: np.random.Generator) -> PermutationTest:
        """Would other labels give as large a difference?"""
        if self.paired:
            return sign_flip_test(self.second - self.first, rng=rng)
        return two_sample_test(self.second, self.first, rng=rng)


def samples_of(baseline: Side, candidate: Side, tag: str) -> Samples | None:
    """Final values of a metric over the survivors; None if a side has fewer than two."""
    pairs = pairs_of(baseline, candidate, tag)
    if pairs is not None:
        first, second = np.array(pairs, dtype=np.float64).T
        return Samples(first, second, paired=True)
    first, second = (np.array(list(side.finals(tag).values()), dtype=np.float64) for side in (baseline, candidate))
    return Samples(first, second, paired=False) if min(first.size, second.size) >= MIN_VALUES else None


def metric_comparisons(
    samples: Mapping[str, Samples],
    modes: Mapping[str, str],
    *,
    rng: np.random.Generator,
    primary: str | None,
    margin: float | None,
) -> dict[str, MetricComparison]:
    """Compare every metric.

    A metric tells the sides apart if ``p <= 0.05`` *and* the 95 % interval excludes zero. The permutation test alone
    would not do: with 30 seeds against 5 it calls a candidate that only scatters three times as much better or worse in
    27 % of cases (both together: 5 %). The primary metric was chosen before anyone looked, so its own p counts; any
    other metric needs Holm's.

    A metric is equivalent if its interval lies within the margin. Without a given one the margin is the baseline's
    standard deviation over seeds (corrected for few seeds): what the choice of the seed does to a single run anyway. It
    has the unit of the metric, follows ``y -> a*y + b``, and does not grow with how much training gains, of which 1 %
    is far more than a language modeller would call equal. That it is estimated too is paid for by the 95 % interval
    (90 % is usual): a true difference of one margin is called equivalent in 0 to 3.4 % of cases, from 5 to 50 seeds.

    Args:
        samples: By metric.
        modes: Better direction of each.
        rng: For p where not every relabeling can be counted.
        primary: The metric that decides, if there is one.
        margin: Of the primary metric, in its own unit; None for the default.
    """
    tests = {tag: one.test(rng) for tag, one in samples.items()}
    adjusted = dict(zip(tests, holm([test.p for test in tests.values()]), strict=True))
    result = {}
    for tag, one in samples.items():
        own = margin if tag == primary else None
        decisive = tests[tag].p if tag == primary else adjusted[tag]
        described = _described(one, modes[tag], tests[tag], adjusted[tag], own)
        result[tag] = replace(described, answer=_answer(described, decisive))
    return result


def _described(
    samples: Samples, mode: str, test: PermutationTest, p_holm: float, margin: float | None
) -> MetricComparison:
    difference = samples.difference
    source = Margin.GIVEN
    if margin is None:
        margin, source = unbiased_sd(samples.first), Margin.SEED_SD
    has_margin = margin > 0
    better = chance_of_less(samples.first, samples.second)
    return MetricComparison(
        mode=mode,
        n=(samples.first.size, samples.second.size),
        mean=(float(samples.first.mean()), float(samples.second.mean())),
        sd=(float(samples.first.std(ddof=1)), float(samples.second.std(ddof=1))),
        difference=difference.value,
        ci=(difference.low, difference.high),
        p=test.p,
        p_holm=p_holm,
        p_min=test.p_min,
        exact=test.exact,
        paired=samples.paired,
        p_candidate_better=better if mode == "min" else 1 - better,
        margin=margin if has_margin else None,
        margin_from=source if has_margin else None,
        answer=Answer.INCONCLUSIVE,
        seeds_needed=seeds_to_tell(difference.value, samples.noise),
        seeds_for_equivalence=seeds_to_equate(difference.value, margin, samples.noise) if has_margin else None,
    )


def _answer(metric: MetricComparison, p: float) -> Answer:
    low, high = metric.worsening_ci
    if p <= ALPHA and (low > 0 or high < 0):
        return Answer.WORSE if low > 0 else Answer.BETTER
    if metric.margin is not None and max(-low, high) <= metric.margin:
        return Answer.EQUIVALENT
    return Answer.EQUIVALENT if low == high == 0 else Answer.INCONCLUSIVE


def missing_values(baseline: Side, candidate: Side, tags: Sequence[str]) -> list[str]:
    """Sentences on survivors that are not in a comparison of means, because they have no finite final value."""
    notes = []
    for side in (baseline, candidate):
        for tag in tags:
            lacking = len(side.survivors) - len(side.finals(tag))
            if lacking:
                notes.append(
                    f"{tag}: {lacking} of {len(side.survivors)} surviving seeds of the {side.name} "
                    "without a finite final value are left out"
                )
    return notes
