import numpy as np
import pytest

from stabilimeter.stats.departure import Side, departure

N = 400


def noise(seed, sd=0.1, n=N):
    return np.random.default_rng(seed).normal(scale=sd, size=n)


def healthy(k=3, **options):
    return np.stack([noise(seed, **options) for seed in range(k)])


def test_a_jump_that_stays_is_found_at_its_step():
    series = noise(9)
    series[250:] += 2.0
    assert departure(series, healthy()) == 250


def test_a_slow_climb_is_found_when_it_leaves_the_range():
    series = noise(9, sd=0.01)
    series[100:] += np.linspace(0, 3, N - 100)  # 0.01 a step: twice the range of +-0.3 is reached about step 160
    assert 130 <= departure(series, healthy()) <= 180


@pytest.mark.parametrize("k", [1, 2, 3, 10])
def test_healthy_seeds_do_not_leave_the_range_of_the_others(k):
    found = [departure(noise(100 + seed), healthy(k)) for seed in range(50)]
    assert found == [None] * 50


def test_a_series_that_comes_back_has_not_left():
    series = noise(9)
    series[250:300] += 2.0
    assert departure(series, healthy()) is None


def test_the_last_departure_counts():
    series = noise(9)
    series[50:90] += 2.0
    series[300:] += 2.0
    assert departure(series, healthy()) == 300


def test_non_finite_values_are_outside_on_any_side():
    for broken in (np.nan, np.inf, -np.inf):
        series = noise(9)
        series[380:] = broken
        assert departure(series, healthy(), side=Side.ABOVE) == 380
        assert departure(series, healthy(), side=Side.BELOW) == 380


@pytest.mark.parametrize(("shift", "above", "below"), [(2.0, 250, None), (-2.0, None, 250)])
def test_the_side_decides(shift, above, below):
    series = noise(9)
    series[250:] += shift
    assert departure(series, healthy(), side=Side.ABOVE) == above
    assert departure(series, healthy(), side=Side.BELOW) == below
    assert departure(series, healthy()) == 250


def test_units_do_not_matter():
    series = noise(9)
    series[250:] += 2.0
    assert departure(5 - 1e-6 * series, 5 - 1e-6 * healthy()) == 250


def test_a_series_outside_from_the_first_point_left_there():
    assert departure(noise(9) + 5, healthy()) == 0


def test_steps_that_no_healthy_series_has_are_passed_over():
    others = healthy()
    others[:, ::2] = np.nan
    series = noise(9)
    series[251:] += 2.0
    assert departure(series, others) == 251


def test_nothing_is_said_without_healthy_values():
    assert departure(noise(9) + 5, np.full((2, N), np.nan)) is None
