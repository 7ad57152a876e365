"""How often the intervals hold what they are for, and how often equal things are called different, by simulation.

    python benchmarks/coverage.py                   2,000 draws of each score and more of the rest, about ten minutes
    python benchmarks/coverage.py --draws 200       a first look
    python benchmarks/coverage.py --check           exit status 1 if a promise below is broken

| promise | nominal | held if |
|---|---|---|
| t interval of a mean, Gaussian seeds, n = 3, 5, 10 | 95 % | 94 to 96 % |
| stability score, failures nobody has seen yet included | 95 % | 93 % or more in every setting |
| `compare` calls two equal recipes different | 5 % | 5.5 % or less in every setting |
| `SeedSpread` calls a Gaussian seed an outlier | 0.1 % | 0.13 % or less |

What is simulated is the shipped code, draw by draw. The score's settings cross the chance that a seed fails (0, 5, 10,
30 %) with the number of seeds (3, 5, 10, 20) and the law of the final values (Gaussian, skewed). Draws with too few
survivors for an interval make no promise and are counted apart.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from comparison import EQUAL, simulated
from stabilimeter.stats.intervals import bootstrap_t_interval, t_interval
from stabilimeter.stats.seed_place import outlier_p
from stabilimeter.stats.stability import (
    HalfPoints,
    Troubles,
    credit,
    quality,
    stability_score,
)

Law = Callable[[np.random.Generator, tuple[int, ...]], NDArray[np.float64]]

MEAN_DRAWS = 10
COMPARE_DRAWS = 4
OUTLIER_DRAWS = 100
"""Times the draws of a score: these are cheaper, and small rates need many."""

SEED_SD = 0.0205
"""Of the final value over seeds, in units of D; with `_troubles` the score of the recipe is 75."""


def gaussian(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Mean 0, standard deviation 1."""
    return rng.normal(size=shape)


def skewed(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Lognormal with shape 0.8, mean 0, standard deviation 1."""
    variance = np.exp(0.64)
    return (rng.lognormal(sigma=0.8, size=shape) - np.sqrt(variance)) / np.sqrt((variance - 1) * variance)


def lognormal(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Lognormal with shape 1, mean 0, standard deviation 1."""
    return (rng.lognormal(size=shape) - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e)


def student(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Student's t with 3 degrees of freedom, mean 0."""
    return rng.standard_t(3, size=shape)


@dataclass(frozen=True)
class Row:
    """One line of a table: what was simulated, what came out, whether a promise is kept (None: none is made)."""

    what: str
    figures: tuple[float, ...]
    kept: bool | None = None


def main() -> int:
    """Simulate, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000, help="draws per setting of the score (default: 2000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the simulation (default: 0)")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a promise is broken")
    arguments = parser.parse_args()
    rng, draws = np.random.default_rng(arguments.seed), arguments.draws
    tables = (
        ("Mean over seeds, 95 %", ("t", "bootstrap-t"), 6, mean_rows(rng, draws)),
        ("Stability score, 95 %", ("true", "whole", "if finishes", "no interval"), 32, score_rows(rng, draws)),
        ("Two equal recipes told apart, 5 %", ("compare", "test", "Welch"), len(EQUAL), compare_rows(rng, draws)),
        ("Outlier seed, 0.1 %", ("rate",), 15, outlier_rows(rng, draws)),
    )
    broken = 0
    for title, heads, total, rows in tables:
        done = list(track(rows, title, total=total, transient=True))
        print(f"\n{title:56}" + "".join(f"{head:>13}" for head in heads))
        for row in done:
            mark = {True: "", False: "  broken", None: ""}[row.kept]
            print(f"  {row.what:54}" + "".join(f"{figure:13.4g}" for figure in row.figures) + mark, flush=True)
        broken += sum(row.kept is False for row in done)
    print(f"\n{broken} promises broken")
    return 1 if arguments.check and broken else 0


def mean_rows(rng: np.random.Generator, draws: int) -> Iterator[Row]:
    """Coverage of both intervals for a mean."""
    for law in (gaussian, lognormal):
        for n in (3, 5, 10):
            samples = law(rng, (MEAN_DRAWS * draws, n))
            t = np.mean([_holds(t_interval(row), 0.0) for row in samples])
            drawn = np.mean([_holds(bootstrap_t_interval(row, rng=rng, draws=999), 0.0) for row in samples[:draws]])
            kept = 0.94 <= t <= 0.96 if law is gaussian else None
            yield Row(f"n = {n:2}, {law.__name__}", (float(t), float(drawn)), kept)


def score_rows(rng: np.random.Generator, draws: int) -> Iterator[Row]:
    """Coverage of both intervals for the stability score."""
    within = float(np.mean([quality(_troubles(rng)) for _ in range(100_000)]))
    given = within**0.75 * credit(SEED_SD, HalfPoints().seed_spread) ** 0.25
    for law in (gaussian, skewed):
        for p in (0.0, 0.05, 0.1, 0.3):
            for n in (3, 5, 10, 20):
                whole, if_finishes, none = score_coverage(rng, draws, n=n, p=p, law=law, given=given)
                what = f"n = {n:2}, {100 * p:2.0f} % of seeds fail, {law.__name__} finals"
                yield Row(what, (100 * (1 - p) * given, whole, if_finishes, none), whole >= 0.93)


def score_coverage(
    rng: np.random.Generator, draws: int, *, n: int, p: float, law: Law, given: float
) -> tuple[float, float, float]:
    """Share of draws whose interval holds the true score, the same if seeds finish, and share without an interval."""
    held = []
    for _ in range(draws):
        n_ok = n - int(rng.binomial(n, p))
        finals = SEED_SD * law(rng, (n_ok,))
        score = stability_score([_troubles(rng) for _ in range(n_ok)], n - n_ok, finals, 1.0)
        if score.low is not None and score.high is not None and score.given_completion is not None:
            whole = _holds((score.low, score.high), 100 * (1 - p) * given)
            held.append((whole, _holds(score.given_completion, 100 * given)))
    whole_share, given_share = np.mean(held, axis=0) if held else (np.nan, np.nan)
    return float(whole_share), float(given_share), 1 - len(held) / draws


def compare_rows(rng: np.random.Generator, draws: int) -> Iterator[Row]:
    """How often `compare` tells equal recipes apart by their metric."""
    for setting in EQUAL:
        figures = simulated(setting, COMPARE_DRAWS * draws, rng, equivalent=False)
        yield Row(str(setting), figures, figures[0] <= 0.055)


def outlier_rows(rng: np.random.Generator, draws: int) -> Iterator[Row]:
    """How often one more seed of the same kind is called an outlier."""
    for n in (3, 4, 5, 9, 20):
        for law in (gaussian, student, lognormal):
            seeds = law(rng, (OUTLIER_DRAWS * draws, n + 1))
            rate = float(np.mean([(outlier_p(float(row[0]), row[1:]) or 0.0) <= 0.001 for row in seeds]))
            yield Row(f"{n:2} siblings, {law.__name__}", (rate,), rate <= 0.0013 if law is gaussian else None)


def _troubles(rng: np.random.Generator) -> Troubles:
    """One seed of a recipe: skewed troubles, of which a score of 75 is left."""
    spikes, noise, regression = rng.gamma(2.0, 0.5, size=3) * (0.0003, 0.02, 0.03)
    return Troubles(float(spikes), float(noise), float(regression))


def _holds(limits: tuple[float, float], truth: float) -> bool:
    return limits[0] <= truth <= limits[1]


if __name__ == "__main__":
    sys.exit(main())
