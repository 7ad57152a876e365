"""What the detector costs: the monitor's blocks, the guard's single values, and the size of its state.

    python benchmarks/detection_cost.py      half a minute

A falling loss with noise, judged in blocks of 1, 10, 50 and 500 values, as a loss and as a gradient norm, and value by
value with a gradient norm beside it. The least of ten runs over the 4,000 values after the first 2,000.
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


def per_block(length: int, *, positive: bool, repeats: int = 10) -> float:
    """Microseconds to judge a block of so many values."""
    values, best = series(), float("inf")
    for _ in range(repeats):
        state = detection.start(positive=positive)
        began = 0.0
        for first in range(0, VALUES, length):
            if first >= WARM and not began:
                began, blocks = time.perf_counter(), -(-(VALUES - first) // length)
            steps, block = range(first, first + length), values[first : first + length]
            at = 0
            while at < len(block):
                state, _, at = detection.onward(state, steps, block, at)
        best = min(best, (time.perf_counter() - began) / blocks)
    return 1e6 * best


def per_pair(repeats: int = 10) -> float:
    """Microseconds to judge one loss with a gradient norm beside it."""
    values, best = series(), float("inf")
    norms = np.exp(0.2 * np.random.default_rng(1).standard_normal(VALUES)).tolist()
    for _ in range(repeats):
        state = detection.start()
        for step in range(WARM):
            state, _ = detection.step(state, step, values[step], norms[step])
        began = time.perf_counter()
        for step in range(WARM, VALUES):
            state, _ = detection.step(state, step, values[step], norms[step])
        best = min(best, (time.perf_counter() - began) / (VALUES - WARM))
    return 1e6 * best


def main() -> None:
    """Print the costs."""
    for length in (1, 10, 50, 500):
        loss, norm = per_block(length, positive=False), per_block(length, positive=True)
        print(f"block of {length:3d}: {loss:7.0f} us as a loss, {norm:6.0f} us as a gradient norm")
    print(f"one loss with a norm beside it: {per_pair():.0f} us")
    state = detection.start()
    at, values = 0, series()
    while at < VALUES:
        state, _, at = detection.onward(state, range(VALUES), values, at)
    print(f"state after {VALUES:,} values: {len(pickle.dumps(detection.plain(state))) / 1000:.1f} kB")


if __name__ == "__main__":
    main()
