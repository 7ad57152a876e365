"""Coverage of the 95 % intervals of the recipes lr_sensitivity and variance_sources.

python benchmarks/recipe_intervals.py                 2,000 draws per row, a few minutes

Sensitivity and stable region: a U-shaped loss over nine learning rates like that of char_gpt, with noise between seeds
that grows with the learning rate, or with one run in ten at the highest four that fails. Variance sources: three
sources of standard deviation 3, 1 and 0.5, Gaussian or Student t5.
"""

import argparse
import math
from collections.abc import Iterator

import numpy as np

from stabilimeter.stats.lr_sensitivity import capped, lr_sensitivity
from stabilimeter.stats.variance_sources import share_of, source_variance, sum_interval

LRS = np.array([1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0])
MEANS = np.array([3.44, 2.86, 2.56, 2.43, 2.18, 2.09, 2.47, 3.18, 5.0])
INITIAL = 5.0
SDS = {"large": 3.0, "middle": 1.0, "small": 0.5}


def losses(num_seeds: int, fails: bool, rng: np.random.Generator) -> np.ndarray:
    """Final losses, shape (num_seeds, 9)."""
    noise = np.linspace(0.01, 0.06, LRS.size) * rng.normal(size=(num_seeds, LRS.size))
    own = MEANS + noise
    if fails:
        own[:, -4:] = np.where(rng.random((num_seeds, 4)) < 0.1, np.nan, own[:, -4:])
    return own


def lr_rows(draws: int, rng: np.random.Generator) -> Iterator[tuple[str, float, float]]:
    """Setting, coverage of the sensitivity, coverage of the width."""
    for fails in (False, True):
        truth = lr_sensitivity(LRS, capped(losses(100_000, fails, rng), INITIAL).mean(axis=0)[None], INITIAL)
        for num_seeds in (3, 5, 10):
            hits = np.zeros(2)
            for _ in range(draws):
                found = lr_sensitivity(
                    LRS, losses(num_seeds, fails, rng), INITIAL, failed=np.zeros((num_seeds, 9), dtype=bool)
                )
                for place, (ci, value) in enumerate(((found.ci, truth.value), (found.stable.ci, truth.stable.decades))):
                    hits[place] += ci is not None and ci[0] <= value <= ci[1]
            name = f"{num_seeds} seeds" + (", one in ten fails" if fails else "")
            yield name, hits[0] / draws, hits[1] / draws


def variance_rows(draws: int, rng: np.random.Generator) -> Iterator[tuple[str, float, float, float]]:
    """Setting, coverage of the middle source's variance, its share, and the sum."""
    total = sum(sd**2 for sd in SDS.values())
    for law, sample in (("normal", rng.normal), ("Student t5", None)):
        for pairs in (3, 8, 20):
            hits = np.zeros(3)
            for _ in range(draws):
                parts = {}
                for name, sd in SDS.items():
                    values = (
                        sample(size=(2, pairs)) if sample else rng.standard_t(5, size=(2, pairs)) / math.sqrt(5 / 3)
                    )
                    parts[name] = source_variance(sd * (values[1] - values[0]))
                low, high = parts["middle"].interval()
                share = share_of(parts["middle"], {k: v for k, v in parts.items() if k != "middle"})
                below, above = sum_interval(parts)
                hits += [low <= 1 <= high, share.low <= 1 / total <= share.high, below <= total <= above]
            yield f"{law}, {pairs} pairs", *(hits / draws)


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=2000)
    draws = parser.parse_args().draws
    rng = np.random.default_rng(0)
    print(f"{'lr_sensitivity':<28}{'sensitivity':>12}{'width':>8}")
    for name, *shares in lr_rows(draws, rng):
        print(f"{name:<28}{shares[0]:>12.3f}{shares[1]:>8.3f}", flush=True)
    print(f"{'variance_sources':<28}{'SD':>12}{'share':>8}{'sum':>8}")
    for name, *shares in variance_rows(draws, rng):
        print(f"{name:<28}{shares[0]:>12.3f}{shares[1]:>8.3f}{shares[2]:>8.3f}", flush=True)


if __name__ == "__main__":
    main()
