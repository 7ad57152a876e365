from math import inf

import numpy as np
import pytest

from stabilimeter.stats.detection.ranked_rows import middles_and_scales
from stabilimeter.stats.detection.window import middle_and_scale


@pytest.mark.parametrize("decimals", [None, 1, 0], ids=["noise", "coarse", "mostly equal"])
@pytest.mark.parametrize("magnitude", [1e-9, 1.0, 1e200])
def test_rows_equal_single_samples_to_the_last_bit(decimals, magnitude):
    rng = np.random.default_rng(0)
    for _ in range(20):
        most = int(rng.integers(3, 129))
        counts = rng.integers(2, most + 1, 12) if rng.random() < 0.7 else np.full(12, rng.integers(2, most + 1))
        values = rng.standard_normal((2, 12, most))
        values = magnitude * (values if decimals is None else values.round(decimals))
        ranked = np.sort(np.where(np.arange(most) < counts[:, None], values, inf))
        roundings = magnitude * 10.0 ** rng.integers(-9, 2, 12)
        same = int(counts[0]) if len(set(counts)) == 1 else counts
        middles, scales = middles_and_scales(ranked, same, roundings)
        for track, row in np.ndindex(middles.shape):
            single = middle_and_scale(ranked[track, row, : counts[row]].tolist(), float(roundings[row]))
            assert (middles[track, row], scales[track, row]) == single
