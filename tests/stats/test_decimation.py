import numpy as np
import pytest

from stabilimeter.stats.decimation import extremes


@pytest.mark.parametrize("n", [1_001, 99_999, 1_000_000])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_spike_of_one_step_stays(n, sign):
    values = np.random.default_rng(0).standard_normal(n)
    at = n * 2 // 3
    values[at] = 50.0 * sign
    kept = extremes(values, 1000)
    assert at in kept
    assert kept.size <= 1010
    assert (np.diff(kept) > 0).all()


def test_ends_and_extremes_are_kept():
    values = np.random.default_rng(1).standard_normal(12_345)
    kept = extremes(values, 500)
    assert (kept[0], kept[-1]) == (0, 12_344)
    assert values[kept].max() == values.max()
    assert values[kept].min() == values.min()


def test_every_stretch_with_a_gap_keeps_its_first():
    values = np.ones(10_000)
    values[[2_345, 2_346, 7_000]] = np.nan, np.inf, -np.inf
    kept = extremes(values, 200)
    assert [at for at in kept.tolist() if not np.isfinite(values[at])] == [2_345, 7_000]


def test_few_points_are_all_kept():
    assert extremes(np.array([1.0, np.nan, 2.0]), 3).tolist() == [0, 1, 2]
    assert extremes(np.empty(0), 3).tolist() == []
