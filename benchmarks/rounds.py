"""Comparing the speed of several ways to do one thing on a noisy machine."""

import gc
import time
from collections.abc import Callable, Mapping

import numpy as np


def seconds(ways: Mapping[str, Callable[[], object]], rounds: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Processor time of each way in each round, ``(rounds,)``; every round runs all of them, in a random order.

    Processor time, not wall time: what other processes do on the machine disturbs it least. One round before the first
    is not counted.
    """
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name in rng.permutation(list(ways)).tolist():
            gc.collect()
            start = time.process_time()
            ways[name]()
            if number:
                times[name].append(time.process_time() - start)
    return {name: np.array(values) for name, values in times.items()}


def quartiles(values: np.ndarray) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    return float(low), float(middle), float(high)
