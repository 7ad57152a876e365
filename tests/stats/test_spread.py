import numpy as np
import pytest
from scipy import stats

from stabilimeter.stats.spread import brown_forsythe


@pytest.mark.parametrize(("n", "m"), [(3, 3), (5, 10), (10, 10), (28, 30)])
def test_is_scipys_levene_test_around_the_median(n, m):
    rng = np.random.default_rng(n)
    first, second = rng.normal(size=n), 2.5 * rng.normal(size=m)
    expected = stats.levene(first, second, center="median").pvalue
    assert brown_forsythe(first, second) == pytest.approx(expected)
    assert brown_forsythe(10 * second + 3, 10 * first - 2) == pytest.approx(expected)


def test_level_for_heavy_tails_where_the_f_test_fails():
    rng = np.random.default_rng(0)
    ours, f_tests = [], []
    for _ in range(1500):
        first, second = rng.standard_t(3, size=10), rng.standard_t(3, size=10)
        ours.append(brown_forsythe(first, second) <= 0.05)
        tail = stats.f.sf(first.var(ddof=1) / second.var(ddof=1), 9, 9)
        f_tests.append(2 * min(tail, 1 - tail) <= 0.05)
    assert np.mean(ours) < 0.06 < 0.1 < np.mean(f_tests)


def test_no_distances_no_evidence():
    assert brown_forsythe(np.full(10, 3.0), np.full(10, 7.0)) == 1.0


def test_two_values_have_equal_distances_whatever_their_spread():
    with pytest.raises(ValueError, match="at least 3"):
        brown_forsythe(np.array([1.0, 2.0]), np.array([1.0, 2.0, 3.0]))
