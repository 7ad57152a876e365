import math

import numpy as np
import pytest

from stabilimeter.stats.detection.window import (
    CAPACITY,
    Window,
    accepted,
    bridged,
    forecast,
    local_level,
    middle_and_scale,
    restarted,
)


def window_of(values) -> Window:
    window = Window()
    for value in values:
        window = accepted(window, value)
    return window


def test_nothing_is_known_before_two_values():
    assert forecast(Window()).scale == math.inf
    assert forecast(window_of([3.0])) == (3.0, math.inf, 0)


def test_residuals_by_hand():
    window = window_of([5.0, 3.0, 4.0, 1.0])
    assert window.last.residuals == (-2.0, 1.0, -3.0)
    assert window.level.residuals == (-2.0, -1.0, -3.0)  # upper median where the number is even
    assert window.level.ranked == (-3.0, -2.0, -1.0)
    assert local_level(window) == 4.0
    assert (window.first, window.best, window.roughest, window.magnitude) == (5.0, 1.0, 1.0, 5.0)


def test_scale_agrees_with_numpy():
    residuals = np.random.default_rng(0).standard_normal(101)
    low, middle, high = np.quantile(residuals, [0.1587, 0.5, 0.8413])
    above = high - middle
    expected = 0.5 * (above + min(middle - low, 2 * above))
    assert middle_and_scale(tuple(np.sort(residuals)), 0.0) == pytest.approx((middle, expected))


def test_scale_is_the_standard_deviation_of_gaussian_noise():
    values = np.random.default_rng(0).standard_normal((200, 400))
    scales = [forecast(window_of(row)).scale for row in values]
    assert np.mean(scales) == pytest.approx(math.sqrt(1 + 0.287), rel=0.03)  # 0.287: variance of a median of five


def test_improvements_do_not_widen_the_scale():
    noise = 0.1 * np.random.default_rng(0).standard_normal(90)
    far = 5.0 + 0.1 * np.random.default_rng(1).standard_normal(30)
    assert middle_and_scale(tuple(sorted([*noise, *-far])), 0.0)[1] < 0.3
    assert middle_and_scale(tuple(sorted([*noise, *far])), 0.0)[1] > 2.0


def test_ties_fall_back_on_the_standard_deviation():
    ranked = (-1.0, *[0.0] * 30, 1.0)
    assert middle_and_scale(ranked, 0.0) == (0.0, pytest.approx(math.sqrt(2 / 32)))
    assert middle_and_scale((0.0,) * 20, 1e-6) == (0.0, 1e-6)


def test_smooth_series_are_forecast_from_the_last_value_and_noisy_ones_from_the_level():
    smooth = np.cumsum(np.random.default_rng(0).standard_normal(300))
    assert forecast(window_of(smooth)).centre == pytest.approx(smooth[-1], abs=0.3)
    assert forecast(window_of(smooth)).scale == pytest.approx(1.0, rel=0.2)  # 1.8 around the level
    noisy = np.random.default_rng(0).standard_normal(300)
    noisy[-1] = 2.5
    assert forecast(window_of(noisy)).centre == pytest.approx(np.median(noisy[-5:]), abs=0.3)


@pytest.mark.parametrize(("n", "kept"), [(5, 4), (9, 8), (16, 8), (40, 19), (257, 128), (1000, 128)])
def test_the_later_half_is_kept_up_to_capacity(n, kept):
    values = np.random.default_rng(0).standard_normal(n)
    window = window_of(values)
    assert len(window.last.residuals) == len(window.level.residuals) == kept <= CAPACITY
    assert window.last.residuals == pytest.approx(np.diff(values)[-kept:])
    assert window.last.ranked == tuple(sorted(window.last.residuals))
    assert window.seen == n - 1
    assert len(window.values) == min(n, 5)


def test_a_restart_keeps_only_where_the_series_came_from():
    window = restarted(window_of([9.0, 4.0, 3.0]), [20.0, 21.0])
    assert window.values == (20.0, 21.0)
    assert window.last.residuals == (1.0,)
    assert (window.first, window.best, window.roughest, window.seen) == (9.0, 3.0, math.inf, 1)


def test_the_first_value_back_leaves_no_residual():
    window = window_of([9.0, 4.0, 3.0])
    bridge = bridged(window, 5.0)
    assert bridge._replace(values=window.values) == window
    assert accepted(bridge, 4.5).last.residuals[-1] == -0.5
