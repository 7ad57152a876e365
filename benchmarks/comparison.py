"""How often a comparison is wrong, and how often it sees what is there, by simulation.

    python benchmarks/comparison.py                    2,000 draws per setting, about five minutes
    python benchmarks/comparison.py --at-most 0.065    exit status 1 if two equal recipes are told apart more often

Nominal is 0.05; three standard errors of 2,000 draws are 0.015. Beside the verdict of ``compare`` stands what its two
conditions would do alone: the permutation test, and Welch's interval.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stabilimeter.analysis.comparison import Answer
from stabilimeter.analysis.metric_comparison import Samples, metric_comparisons

Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]


def normal(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Unit variance."""
    return rng.normal(size=n)


def lognormal(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Skewed, as losses are; unit variance."""
    return (rng.lognormal(size=n) - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e)


def bimodal(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """One seed in ten lands ten standard deviations lower."""
    return rng.normal(size=n) - 10 * (rng.random(n) < 0.1)


@dataclass(frozen=True)
class Setting:
    """Two recipes: n and m seeds, a law, how much more the second scatters, how far it is shifted, shared luck."""

    n: int
    m: int
    law: Draw = normal
    scale: float = 1.0
    shift: float = 0.0
    correlation: float | None = None

    def samples(self, rng: np.random.Generator) -> Samples:
        """One pair of sweeps."""
        first, second = self.law(rng, self.n), self.scale * self.law(rng, self.m) + self.shift
        if self.correlation is None:
            return Samples(first, second, paired=False)
        luck, own = np.sqrt(self.correlation), np.sqrt(1 - self.correlation)
        shared = self.law(rng, self.n)
        return Samples(
            luck * shared + own * first, luck * shared + own * (second - self.shift) + self.shift, paired=True
        )

    def __str__(self) -> str:
        pairs = "" if self.correlation is None else f" pairs, correlation {self.correlation:g}"
        return f"{self.n:2} v {self.m:<2} {self.law.__name__}{pairs}, SD x {self.scale:g}, shift {self.shift:g} SD"


EQUAL = [
    *(Setting(n, n, law) for law in (normal, lognormal, bimodal) for n in (3, 4, 5, 10)),
    *(Setting(n, n, correlation=correlation) for n in (6, 10) for correlation in (0.0, 0.6)),
    *(Setting(n, m, scale=scale) for n, m, scale in ((5, 5, 3.0), (10, 5, 2.0), (20, 5, 3.0), (5, 20, 3.0))),
]
DIFFERENT = [
    *(Setting(n, n, shift=shift) for n in (4, 5, 10) for shift in (1.0, 2.0)),
    *(Setting(10, 10, shift=1.0, correlation=correlation) for correlation in (0.0, 0.6)),
]
ONE_MARGIN = [Setting(n, n, shift=1.0) for n in (5, 10, 15)]


def main() -> int:
    """Simulate, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000, help="pairs of sweeps per setting (default: 2000)")
    parser.add_argument("--at-most", type=float, help="largest acceptable share of equal recipes that are told apart")
    parser.add_argument("--seed", type=int, default=0, help="seed of the simulation (default: 0)")
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    worst = 0.0
    for title, settings in (
        ("told apart although equal on average", EQUAL),
        ("told apart when different", DIFFERENT),
        ("called equivalent although different by one seed SD", ONE_MARGIN),
    ):
        print(f"\n{title:66} {'compare':>8} {'test':>6} {'Welch':>6}")
        for setting in settings:
            ours, test, interval = simulated(setting, arguments.draws, rng, equivalent=settings is ONE_MARGIN)
            print(f"  {setting!s:64} {ours:8.3f} {test:6.3f} {interval:6.3f}", flush=True)
            worst = max(worst, ours) if settings is EQUAL else worst
    return 1 if arguments.at_most is not None and worst > arguments.at_most else 0


def simulated(
    setting: Setting, draws: int, rng: np.random.Generator, *, equivalent: bool
) -> tuple[float, float, float]:
    """Share of draws with an answer: by the comparison, by the test alone, by the interval alone."""
    wanted = {Answer.EQUIVALENT} if equivalent else {Answer.BETTER, Answer.WORSE}
    counts = np.zeros(3)
    for _ in range(draws):
        samples = {"metric": setting.samples(rng)}
        found = metric_comparisons(samples, {"metric": "min"}, rng=rng, primary="metric", margin=None)["metric"]
        counts += [found.answer in wanted, found.p <= 0.05, not found.ci[0] <= 0 <= found.ci[1]]
    ours, test, interval = counts / draws
    return ours, test, interval


if __name__ == "__main__":
    sys.exit(main())
