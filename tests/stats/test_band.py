import numpy as np
import pytest
from scipy import stats

from stabilimeter.stats.alignment import aligned
from stabilimeter.stats.band import band_across_seeds, thinned

STEPS = np.arange(0, 100, 10)


def test_mean_limits_and_extremes_at_each_step():
    values = np.random.default_rng(0).normal(size=(5, 10))
    band = band_across_seeds(aligned([STEPS] * 5, list(values)))
    reference = stats.t.interval(0.95, 4, loc=values.mean(axis=0), scale=stats.sem(values, axis=0))
    np.testing.assert_array_equal(band.steps, STEPS)
    np.testing.assert_array_equal(band.n, 5)
    np.testing.assert_allclose(band.mean, values.mean(axis=0))
    np.testing.assert_allclose([band.low, band.high], reference)
    np.testing.assert_array_equal(band.min, values.min(axis=0))
    np.testing.assert_array_equal(band.max, values.max(axis=0))
    np.testing.assert_allclose(band.sd, values.std(axis=0, ddof=1))


@pytest.mark.parametrize("n_seeds", [1, 2, 3, 10])
def test_quartiles_are_those_of_the_seeds_that_have_a_value(n_seeds):
    values = np.random.default_rng(n_seeds).normal(size=(n_seeds, 10))
    values[0, 3], values[: n_seeds - 1, 4], values[:, 5] = np.nan, np.inf, np.nan
    band = band_across_seeds(aligned([STEPS] * n_seeds, list(values)))
    for at in range(10):
        finite = values[np.isfinite(values[:, at]), at]
        expected = np.quantile(finite, [0.25, 0.5, 0.75]) if finite.size else [np.nan] * 3
        np.testing.assert_allclose([band.q25[at], band.median[at], band.q75[at]], expected)
        assert np.isfinite(band.sd[at]) == (finite.size > 1)


def test_a_thinned_band_keeps_its_ends_and_a_spike_of_one_seed():
    values = np.ones((3, 5000))
    values[1, 3333], values[2, 777] = 9.0, np.nan
    band = thinned(band_across_seeds(aligned([np.arange(5000)] * 3, list(values)), max_points=1000), 100)
    assert band.steps.size == 100
    assert band.steps[[0, -1]].tolist() == [0, 4999]
    assert band.max.max() == 9.0
    assert np.isfinite(band.min).all()
    assert thinned(band, 100) is band


def test_a_short_seed_ends_and_the_others_go_on():
    values = [np.ones(10), np.full(10, 3.0), np.full(4, 100.0)]
    together = aligned([STEPS, STEPS, STEPS[:4]], values)
    band = band_across_seeds(together)
    assert together.exact
    assert band.n.tolist() == [3] * 4 + [2] * 6
    assert band.mean[5] == 2.0
    assert np.isnan(band.low[5])
    assert np.isfinite(band.low[3])


def test_steps_that_a_seed_skipped_are_not_common():
    both = aligned([STEPS, np.delete(STEPS, 5)], [np.arange(10.0), np.arange(9.0)])
    assert both.exact
    assert both.steps.tolist() == np.delete(STEPS, 5).tolist()


def test_non_finite_values_lower_n():
    values = np.ones((4, 3))
    values[0, 1], values[1, 1], values[:, 2] = np.nan, np.inf, np.nan
    band = band_across_seeds(aligned([np.arange(3)] * 4, list(values)))
    assert band.n.tolist() == [4, 2, 0]
    assert np.isnan(band.mean[2])
    assert np.isnan(band.max[2])
    assert band.max[1] == 1.0


def test_evaluations_that_never_align_take_the_nearest_one():
    steps = [np.array([1, 100, 200, 300]), np.array([1, 104, 207, 309]), np.array([2, 95, 195, 292])]
    values = [np.array([4.0, 3.0, 2.0, 1.0]) + shift for shift in (0, 10, 20)]
    together = aligned(steps, values)
    assert not together.exact
    assert together.steps.tolist() == [1, 100, 200, 300]
    np.testing.assert_array_equal(together.values, values)
    assert band_across_seeds(together).mean.tolist() == [14.0, 13.0, 12.0, 11.0]


def test_nearest_is_at_most_half_an_interval_away():
    together = aligned([np.array([0, 10, 20, 30]), np.array([3, 13, 27])], [np.arange(4.0), np.array([5.0, 6.0, 7.0])])
    # intervals of the second seed: 10 and 14, so at most 6 away
    np.testing.assert_array_equal(together.values[1], [5.0, 6.0, np.nan, 7.0])


def test_thinning_keeps_the_ends_and_every_spike():
    n = 12_345
    values = np.ones((3, n))
    values[1, 7777] = 50.0
    values[2, 4321] = -50.0
    band = band_across_seeds(aligned([np.arange(n)] * 3, list(values)))
    assert band.steps.size == 1000
    assert (band.steps[0], band.steps[-1]) == (0, n - 1)
    assert band.max.max() == 50.0
    assert band.min.min() == -50.0
    holder = int(np.argmax(band.max))
    assert band.steps[holder] <= 7777 < band.steps[holder + 1]


def test_few_steps_are_not_thinned():
    band = band_across_seeds(aligned([STEPS] * 2, [np.ones(10)] * 2), max_points=10)
    assert band.steps.tolist() == STEPS.tolist()


@pytest.mark.parametrize("series", [([], []), ([np.empty(0, dtype=np.int64)], [np.empty(0)])])
def test_nothing_gives_an_empty_band(series):
    band = band_across_seeds(aligned(*series))
    assert band.steps.size == 0
    assert band.mean.size == 0


def test_one_seed_has_a_line_and_no_limits():
    band = band_across_seeds(aligned([STEPS], [np.arange(10.0)]))
    assert band.mean.tolist() == list(range(10))
    assert np.isnan(band.high).all()
