import numpy as np
import pytest
from scipy import stats

from stabilimeter.stats.seeds import c4, interquartile_mean, seed_statistics, unbiased_sd


@pytest.mark.parametrize("n", range(1, 25))
def test_interquartile_mean_is_scipys_trimmed_mean(n):
    values = np.random.default_rng(n).normal(size=n)
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25))


def test_interquartile_mean_as_rliable_gives_it():
    """rliable 1.2.0 on ten runs, one of them dead."""
    values = np.array([0.71, 0.74, 0.69, 0.75, 0.73, 0.70, 0.72, 0.12, 0.76, 0.71])
    assert interquartile_mean(values) == pytest.approx(0.7183333333333333, abs=1e-15)


@pytest.mark.parametrize("n", [2, 3, 5, 20])
def test_c4_is_the_expected_sample_sd(n):
    samples = np.random.default_rng(n).normal(size=(200_000, n))
    assert samples.std(axis=1, ddof=1).mean() == pytest.approx(c4(n), rel=0.01)


def test_c4_refuses_one_value():
    with pytest.raises(ValueError, match="n >= 2"):
        c4(1)


def test_unbiased_sd_is_right_on_average():
    samples = np.random.default_rng(0).normal(scale=3.0, size=(20_000, 3))
    assert np.mean([unbiased_sd(sample) for sample in samples]) == pytest.approx(3.0, rel=0.02)


def test_statistics_by_independent_reference():
    values = np.array([0.97, 0.962, 0.981, 0.974, 0.953])
    result = seed_statistics(values)
    low, high = stats.t.interval(0.95, 4, loc=values.mean(), scale=stats.sem(values))
    assert result.n == 5
    assert result.mean == pytest.approx(0.968)
    assert result.sd == pytest.approx(stats.tstd(values))
    assert result.median == 0.97
    assert result.iqr == pytest.approx(stats.iqr(values))
    assert (result.min, result.max) == (0.953, 0.981)
    assert result.ci == pytest.approx((low, high))


@pytest.mark.parametrize(
    ("n", "undefined"),
    [
        (0, {"mean", "sd", "iqm", "median", "iqr", "min", "max", "ci"}),
        (1, {"sd", "iqr", "ci"}),
        (2, {"ci"}),
        (3, set()),
    ],
)
def test_what_a_few_seeds_cannot_say_is_none(n, undefined):
    result = vars(seed_statistics(np.arange(n, dtype=float)))
    assert {name for name, value in result.items() if value is None} == undefined


def test_non_finite_values_are_refused_not_dropped():
    with pytest.raises(ValueError, match="finite"):
        seed_statistics(np.array([1.0, np.nan]))
