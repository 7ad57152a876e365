import numpy as np
import pytest

from stabilimeter.stats.noise import detrended, detrended_noise, detrending_window, noise_sd


def ar1(rng, n, rho, sd=1.0):
    values = np.empty(n)
    values[0] = rng.normal(scale=sd)
    for t in range(1, n):
        values[t] = rho * values[t - 1] + rng.normal(scale=sd * np.sqrt(1 - rho**2))
    return values


def test_window_is_odd_and_bounded():
    widths = [detrending_window(n) for n in range(1, 5000)]
    assert all(width % 2 == 1 for width in widths)
    assert min(widths) == 5
    assert max(widths) == 201


def test_residuals_equal_a_rolling_median_done_by_hand():
    values = np.array([5.0, 1.0, 4.0, 2.0, 9.0, 3.0, 3.5, 0.0])
    middle = [np.median(values[t - 2 : t + 3]) for t in range(2, 6)]
    np.testing.assert_allclose(detrended(values)[2:6], values[2:6] - middle)


def test_reads_gaussian_noise_on_a_falling_curve():
    rng = np.random.default_rng(0)
    trend = 8 * np.exp(-np.arange(4000) / 500)
    assert detrended_noise(trend + rng.normal(scale=0.05, size=4000)) == pytest.approx(0.05, rel=0.05)
    assert detrended_noise(trend) < 0.002  # twin without noise


def test_autocorrelated_noise_is_not_under_read_as_by_differences():
    values = ar1(np.random.default_rng(1), 8000, rho=0.9)
    by_differences = np.subtract(*np.percentile(np.diff(values), [75, 25])) / 1.349 / np.sqrt(2)
    assert by_differences < 0.4
    assert detrended_noise(values) > 0.85


def test_spikes_do_not_move_it():
    rng = np.random.default_rng(2)
    values = rng.normal(size=1000)
    spiked = values.copy()
    spiked[::100] += 1e6
    assert detrended_noise(spiked) == pytest.approx(detrended_noise(values), rel=0.05)


def test_a_short_noisy_end_after_a_smooth_fall_is_not_free_of_noise():
    rng = np.random.default_rng(5)
    steps = np.arange(40)
    smooth = 1 + 4 * np.exp(-steps / 3)
    noisy = smooth + rng.normal(scale=0.01, size=40)
    assert detrended_noise(noisy) < 0.005
    assert noise_sd(noisy) == pytest.approx(0.01, rel=0.4)
    assert noise_sd(smooth) < 0.003  # twin without noise


@pytest.mark.parametrize("n", [7, 20, 50, 200, 2000])
def test_noise_sd_of_white_noise_is_right_at_any_length(n):
    rng = np.random.default_rng(n)
    assert np.mean([noise_sd(rng.normal(size=n)) for _ in range(200)]) == pytest.approx(1.0, abs=0.2)


def test_noise_sd_sees_autocorrelated_noise():
    values = ar1(np.random.default_rng(1), 8000, rho=0.9)
    assert noise_sd(values) == detrended_noise(values)


@pytest.mark.parametrize("a", [1e-3, 1000.0])
def test_scales_with_the_unit_and_ignores_the_origin(a):
    values = np.random.default_rng(3).normal(size=300)
    assert noise_sd(a * values + 7) == pytest.approx(a * noise_sd(values), rel=1e-9)


def test_non_finite_values_are_left_out():
    values = np.random.default_rng(4).normal(size=200)
    with_gaps = np.insert(values, [10, 50, 50], [np.nan, np.inf, -np.inf])
    assert noise_sd(with_gaps) == noise_sd(values)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0, 3.0, 4.0], [np.nan] * 100])
def test_too_few_points_give_nan(values):
    assert np.isnan(noise_sd(np.array(values)))
