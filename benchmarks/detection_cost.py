"""What the detector costs: the monitor's blocks, the guard's single values, and the size of its state.

    python benchmarks/detection_cost.py      half a minute

A falling loss with noise, judged in blocks of 1, 10, 50 and 500 values: as a loss, as a loss with a gradient norm
beside it, and as a gradient norm. The least of ten runs over the 4,000 values after the first 2,000.
"""

import pickle
import time

import numpy as np

from stabilimeter.stats import detection

VALUES, WARM = 6_000, 2_000


def series() -> list[float]:
    """A loss that falls from 5 to 2 with noise of 0.05."""
    falling = 2.0 + 3.0 * np.exp(-np.arange(VALUES) / 2_000)
    return (falling + 0.05 * np.random.default_rng(0).standard_normal(VALUES)).tolist()


def per_block(length: int, *, positive: bool = False, beside: bool = False, repeats: int = 10) -> float:
    """Microseconds to judge a block of so many values, with a gradient norm beside each or without."""
    values, best = series(), float("inf")
    norms = np.exp(0.2 * np.random.default_rng(1).standard_normal(VALUES)).tolist()
    for _ in range(repeats):
        state = detection.start(positive=positive)
        began = 0.0
        for first in range(0, VALUES, length):
            if first >= WARM and not began:
                began, blocks = time.perf_counter(), -(-(VALUES - first) // length)
            steps, block = range(first, first + length), values[first : first + length]
            others = norms[first : first + length] if beside else None
            at = 0
            while at < len(block):
                state, _, at = detection.onward(state, steps, block, at, others)
        best = min(best, (time.perf_counter() - began) / blocks)
    return 1e6 * best


def main() -> None:
    """Print the costs."""
    print(f"{'block of':8}{'loss':>10}{'beside a norm':>16}{'ratio':>8}{'gradient norm':>16}   us per block")
    for length in (1, 10, 50, 500):
        loss, both, norm = per_block(length), per_block(length, beside=True), per_block(length, positive=True)
        print(f"{length:8d}{loss:10.0f}{both:16.0f}{both / loss:8.2f}{norm:16.0f}")
    state = detection.start()
    at, values = 0, series()
    while at < VALUES:
        state, _, at = detection.onward(state, range(VALUES), values, at)
    print(f"state after {VALUES:,} values: {len(pickle.dumps(detection.plain(state))) / 1000:.1f} kB")


if __name__ == "__main__":
    main()
