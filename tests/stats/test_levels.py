import numpy as np
import pytest

from stabilimeter.stats.levels import (
    Level,
    autocorrelation_time,
    final_level,
    improvement,
    initial_level,
    oriented,
    yardstick,
)


@pytest.mark.parametrize(
    ("n", "first", "last"),
    [
        (1, [0], [0]),
        (20, [0], [19]),
        (21, [0], [19, 20]),
        (100, [0], range(95, 100)),
        (101, [0, 1], range(95, 101)),
        (1000, range(10), range(950, 1000)),
    ],
)
def test_levels_are_medians_of_the_first_1_and_the_last_5_percent(n, first, last):
    values = np.random.default_rng(n).normal(size=n)
    assert initial_level(values).value == np.median(values[list(first)])
    assert final_level(values).value == np.median(values[list(last)])


def test_evaluations_start_at_the_first_one_however_many_there_are():
    values = np.concatenate([[10.0], np.full(499, 1.0)])
    assert initial_level(values).value == 1.0
    assert initial_level(values, evaluations=True).value == 10.0


def test_standard_error_is_what_repetition_shows():
    rng = np.random.default_rng(0)
    levels = [final_level(rng.normal(size=2000)) for _ in range(300)]
    observed = np.std([level.value for level in levels])
    assert np.mean([level.se for level in levels]) == pytest.approx(observed, rel=0.15)


def test_standard_error_grows_with_autocorrelation():
    rng = np.random.default_rng(1)
    white = rng.normal(size=4000)
    red = np.convolve(rng.normal(size=4019), np.ones(20) / np.sqrt(20), mode="valid")
    assert autocorrelation_time(white) < 1.2
    assert autocorrelation_time(red) > 10
    assert final_level(red).se > 2.5 * final_level(white).se


def test_autocorrelation_time_of_ar1():
    rng = np.random.default_rng(2)
    noise, values = rng.normal(size=20_000), np.zeros(20_000)
    for t in range(1, 20_000):
        values[t] = 0.5 * values[t - 1] + noise[t]
    assert autocorrelation_time(values) == pytest.approx(3.0, rel=0.1)  # (1 + 0.5) / (1 - 0.5)


def test_nothing_finite_has_no_level():
    for values in ([], [np.nan, np.inf]):
        assert np.isnan(initial_level(np.array(values)).value)
        assert np.isnan(final_level(np.array(values)).se)
    assert not Level(float("nan"), float("nan")).is_positive


def test_positive_means_above_three_standard_errors():
    assert Level(3.01, 1.0).is_positive
    assert not Level(2.99, 1.0).is_positive
    assert not Level(5.0, float("nan")).is_positive


def test_orientation():
    values = np.array([0.1, 0.9])
    assert oriented(values, "min") is not None
    assert oriented(values, "min").tolist() == [0.1, 0.9]
    assert oriented(values, "max").tolist() == [-0.1, -0.9]
    with pytest.raises(ValueError, match="'min' or 'max', got 'up'"):
        oriented(values, "up")


def test_yardstick_is_the_median_drop():
    seeds = [np.concatenate([[start], np.full(99, 1.0)]) for start in (3.0, 4.0, 50.0)]
    scale = yardstick(seeds)
    assert scale.value == 3.0
    assert scale.is_positive


def test_yardstick_of_two_seeds_and_of_none():
    assert yardstick([np.linspace(3, 0, 20), np.linspace(5, 0, 20)]).value == 4.0
    assert np.isnan(yardstick([]).value)
    assert not yardstick([]).is_positive


def test_noise_without_a_drop_has_no_scale_and_a_drop_has():
    rng = np.random.default_rng(3)
    flat = [rng.normal(size=400) for _ in range(5)]
    assert not yardstick(flat).is_positive
    assert yardstick([values + np.linspace(8, 0, 400) for values in flat]).is_positive


def test_yardstick_error_shrinks_with_seeds():
    rng = np.random.default_rng(4)
    seeds = [rng.normal(size=400) for _ in range(16)]
    assert yardstick(seeds).se == pytest.approx(yardstick(seeds[:4]).se / 2, rel=0.2)


def test_short_series_are_judged_by_agreement_between_seeds():
    agreeing = [np.array([1.0 + shift, 0.5, 0.2]) for shift in (0.0, 0.01, 0.02)]
    assert yardstick(agreeing).is_positive
    assert not yardstick(agreeing[:2]).is_positive  # two seeds cannot vouch for each other
    assert not yardstick([np.array([first, 0.5, 0.2]) for first in (-1.0, 0.3, 1.4)]).is_positive


def test_improvement_changes_with_unit_only():
    values = np.random.default_rng(5).normal(size=500) + np.linspace(4, 0, 500)
    one, other = improvement(values), improvement(1000 * values + 7)
    assert other.value == pytest.approx(1000 * one.value)
    assert other.se == pytest.approx(1000 * one.se)


def test_coming_down_from_a_blow_up_of_the_first_steps_is_no_gain():
    healthy = np.concatenate([np.linspace(0.7, 0.1, 300), np.full(100, 0.1)])
    blown_up = np.concatenate([[0.7, 5.7e7, 3e7, 1e7, 5e6], np.full(395, 0.65)])
    assert yardstick([healthy]).value == pytest.approx(0.6, abs=0.02)
    assert yardstick([blown_up]).value == pytest.approx(0.05)
