"""Sequential comparison of paired seeds: false alarms, power, and how many seeds it takes, against a fixed number.

python benchmarks/sequential.py                 2,000 draws per row, about a minute

Both sides of a pair come from the same law, the candidate shifted by a number of standard deviations of the
difference. Fixed: the sign-flip test at the last pair.
"""

import argparse
import math
from collections.abc import Iterator

import numpy as np

from stabilimeter.stats.permutation import sign_flip_test
from stabilimeter.stats.sequential import sequential_sign_flips

LAWS = {
    "normal": lambda rng, n: rng.normal(size=(2, n)),
    "Student t3": lambda rng, n: rng.standard_t(3, size=(2, n)),
    "lognormal": lambda rng, n: rng.lognormal(size=(2, n)),
    "360 images": lambda rng, n: rng.binomial(360, 0.99, size=(2, n)) / 1.0,
}


def rows(n_max: int, draws: int, rng: np.random.Generator) -> Iterator[tuple[str, float, float, float, float]]:
    """Law, shift, share that decides, share that a fixed number decides, mean number of pairs."""
    for law, sample in LAWS.items():
        for shift in (0.0, 0.5, 1.0, 1.5, 2.0) if law == "normal" else (0.0, 1.0):
            scale = math.sqrt(2) * float(np.std(sample(rng, 100_000)))
            sequential = fixed = pairs = 0
            for _ in range(draws):
                baseline, candidate = sample(rng, n_max)
                differences = candidate - baseline + shift * scale
                last = sequential_sign_flips(differences, n_max, rng=rng)[-1]
                sequential += last.decides
                pairs += last.n
                fixed += sign_flip_test(differences, rng=rng).p <= 0.05
            yield law, shift, sequential / draws, fixed / draws, pairs / draws


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--pairs", type=int, default=12, help="the most pairs")
    arguments = parser.parse_args()
    print(f"at most {arguments.pairs} pairs, {arguments.draws} draws, two-sided 0.05")
    print(f"{'law':<12}{'shift / SD':>11}{'decides':>10}{'fixed n':>10}{'mean pairs':>12}")
    for law, shift, decides, fixed, pairs in rows(arguments.pairs, arguments.draws, np.random.default_rng(0)):
        print(f"{law:<12}{shift:>11.1f}{decides:>10.3f}{fixed:>10.3f}{pairs:>12.1f}", flush=True)


if __name__ == "__main__":
    main()
