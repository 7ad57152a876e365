import numpy as np
import pytest

from stabilimeter.records.run import Series
from stabilimeter.tensorboard_plugin.polyline import MAX_MARKS, plain, polyline


def series(values):
    values = np.asarray(values, dtype=np.float64)
    return Series(np.arange(values.size) * 3, values)


def test_short_series_are_kept_whole():
    drawn = polyline(series([1.0, 2.0, 3.0]), 10)
    assert (drawn.steps, drawn.values, drawn.gaps) == ([0, 3, 6], [1.0, 2.0, 3.0], [])


@pytest.mark.parametrize("n", [1_001, 99_999, 1_000_000])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_spike_of_one_step_stays_at_its_step(n, sign):
    values = np.random.default_rng(0).standard_normal(n)
    at = n * 2 // 3
    values[at] = 50.0 * sign
    drawn = polyline(series(values), 1000)
    assert len(drawn.steps) <= 1010
    assert drawn.values[drawn.steps.index(3 * at)] == 50.0 * sign
    assert drawn.steps == sorted(set(drawn.steps))


def test_non_finite_stretches_become_gaps_with_their_first_step():
    values = np.ones(10_000)
    values[2_000:2_500] = np.nan
    values[7_000] = np.inf
    values[-3:] = -np.inf
    drawn = polyline(series(values), 200)
    assert drawn.gaps == [6_000, 21_000, 29_991]
    assert drawn.gap_values == ["NaN", "Infinity", "-Infinity"]
    assert drawn.values[drawn.steps.index(6_000)] is None
    assert all(value is None for step, value in zip(drawn.steps, drawn.values, strict=True) if 6_000 <= step < 7_500)


def test_a_series_that_is_never_finite_is_one_gap():
    drawn = polyline(series(np.full(5_000, np.nan)), 100)
    assert drawn.gaps == [0]
    assert set(drawn.values) == {None}


def test_marks_are_bounded():
    values = np.ones(10_000)
    values[::2] = np.nan
    assert len(polyline(series(values), 100).gaps) == MAX_MARKS


def test_an_empty_series_is_empty():
    assert polyline(series([]), 100).steps == []


def test_numbers_keep_six_digits():
    assert plain(np.array([1.23456789e-12, 987654321.0, -0.000123456789])) == [1.23457e-12, 987654000.0, -0.000123457]
