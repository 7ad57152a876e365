import numpy as np
import pandas
import pytest

from stabilimeter.stats.smoothing import exponential_mean


def test_pandas_agrees():
    values = np.random.default_rng(0).normal(size=300).cumsum()
    values[[0, 50, 51, 299]] = np.nan
    for half_life in (0.5, 3.0, 40.0):
        expected = (
            pandas.Series(values).ewm(halflife=half_life, adjust=True, ignore_na=False).mean().to_numpy(copy=True)
        )
        expected[np.isnan(values)] = np.nan
        np.testing.assert_allclose(exponential_mean(values, half_life), expected, rtol=1e-9)


def test_a_constant_stays_from_the_first_point_and_what_is_not_finite_stays():
    values = np.full(100, 7.0)
    values[[3, 60]] = np.inf, -np.inf
    np.testing.assert_allclose(exponential_mean(values, 10.0), values)


def test_a_value_counts_half_after_one_half_life():
    impulse = np.zeros(1000)
    impulse[500] = 1.0
    smooth = exponential_mean(impulse, 20.0)
    assert smooth[520] / smooth[500] == pytest.approx(0.5)
    assert smooth[499] == 0.0


def test_a_half_life_of_nothing_is_refused():
    with pytest.raises(ValueError, match="half_life must be above 0, got 0"):
        exponential_mean(np.ones(3), 0)
