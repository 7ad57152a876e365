import math

import numpy as np

from stabilimeter.stats.time_to_target import first_reaching, median_time


def test_first_time_counts_and_nan_reaches_nothing():
    steps = np.array([1, 2, 3, 4])
    assert first_reaching(steps, np.array([3.0, np.nan, 1.0, 9.0]), 1.0) == 3
    assert first_reaching(steps, np.array([3.0, np.nan, 2.0, 9.0]), 1.0) is None
    assert first_reaching(steps[:0], np.empty(0), 1.0) is None


def test_median_over_studies_as_algoperf_scores():
    assert median_time([100, None, 200]) == 200
    assert median_time([None, None, 200]) == math.inf
    assert median_time([100, 200, 300, None]) == 250
