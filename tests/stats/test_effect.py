import numpy as np
import pytest
from scipy import stats

from stabilimeter.stats.effect import chance_of_less, mover_difference, paired_difference, welch_difference
from stabilimeter.stats.intervals import wilson_interval


@pytest.mark.parametrize(("n", "m", "scale"), [(2, 2, 1.0), (3, 5, 4.0), (10, 10, 0.1), (28, 5, 3.0)])
def test_welch_interval_is_scipys(n, m, scale):
    rng = np.random.default_rng(n * m)
    first, second = rng.normal(size=n), 3 + scale * rng.normal(size=m)
    expected = stats.ttest_ind(second, first, equal_var=False).confidence_interval(0.95)
    result = welch_difference(first, second)
    assert result.value == pytest.approx(second.mean() - first.mean())
    assert (result.low, result.high) == pytest.approx((expected.low, expected.high))


def test_welch_interval_keeps_its_level_with_unequal_spread_and_numbers():
    rng = np.random.default_rng(0)
    results = [welch_difference(rng.normal(size=20), 3 * rng.normal(size=5)) for _ in range(2000)]
    assert np.mean([result.low <= 0 <= result.high for result in results]) == pytest.approx(0.95, abs=0.015)


def test_welch_interval_follows_unit_and_origin():
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=5), rng.normal(size=6)
    plain, scaled = welch_difference(first, second), welch_difference(1e-9 * first + 3, 1e-9 * second + 3)
    assert (scaled.low, scaled.high) == pytest.approx((1e-9 * plain.low, 1e-9 * plain.high), rel=1e-4)


def test_sides_without_spread():
    constant, other = np.array([2.0, 2.0, 2.0]), np.array([1.0, 1.0])
    assert welch_difference(constant, other) == welch_difference(constant, other, level=0.5)
    assert vars(welch_difference(constant, other)) == {"value": -1.0, "low": -1.0, "high": -1.0}
    one_sided = welch_difference(constant, np.array([1.0, 2.0, 3.0]))
    assert one_sided.high == pytest.approx(stats.t.ppf(0.975, 2) / np.sqrt(3))


def test_one_value_has_no_interval():
    with pytest.raises(ValueError, match="at least 2"):
        welch_difference(np.array([1.0]), np.array([1.0, 2.0]))


def test_paired_interval_is_scipys():
    differences = np.array([0.1, 0.3, 0.2, 0.25, -0.1, 0.4])
    expected = stats.ttest_1samp(differences, 0.0).confidence_interval(0.95)
    result = paired_difference(differences)
    assert (result.low, result.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(
    ("better", "worse", "chance"),
    [
        ([1, 2, 2, 3], [2, 2, 3, 3], 0.3125),  # rliable's probability of improvement, ties one half
        ([1, 2, 3, 4, 5], [2, 3, 4, 5, 6], 0.32),
        ([4, 5, 6], [1, 2, 3], 1.0),
        ([1, 1], [1, 1, 1], 0.5),
    ],
)
def test_chance_of_superiority_with_ties(better, worse, chance):
    """The references count how often the first is *higher*; here a lower value is better."""
    assert chance_of_less(-np.array(worse, float), -np.array(better, float)) == pytest.approx(chance)
    assert chance_of_less(-np.array(better, float), -np.array(worse, float)) == pytest.approx(1 - chance)


def test_chance_is_mann_and_whitneys_u():
    rng = np.random.default_rng(7)
    first, second = rng.integers(0, 6, 9).astype(float), rng.integers(0, 6, 14).astype(float)
    u = stats.mannwhitneyu(first, second).statistic
    assert chance_of_less(first, second) == pytest.approx(u / (9 * 14))


def test_mover_with_wilson_limits_is_newcombes_interval():
    """Newcombe 1998, table II, method 10: 56/70 - 48/80 is 0.2000 with interval 0.0524 to 0.3339."""
    result = mover_difference(48 / 80, wilson_interval(48, 80), 56 / 70, wilson_interval(56, 70))
    assert (result.value, result.low, result.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_mover_of_symmetric_intervals_adds_in_squares():
    result = mover_difference(10.0, (7.0, 13.0), 11.0, (7.0, 15.0))
    assert (result.value, result.low, result.high) == (1.0, -4.0, 6.0)
