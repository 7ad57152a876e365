from types import SimpleNamespace

import numpy as np
import pytest

from stabilimeter.stats import common_outliers as module
from stabilimeter.stats.alignment import OnAxis, common_axis
from stabilimeter.stats.common_outliers import common_outliers


def batches(rng, num_seeds, num_steps=3000, own=0.02):
    """Seeds that see the same batches: their noise is that of the batches, but for a little of their own."""
    trend = 2 * np.exp(-np.arange(num_steps) / 500)
    return trend + 0.1 * rng.standard_t(10, size=num_steps) + own * rng.normal(size=(num_seeds, num_steps))


def on_axis(values):
    curves = [SimpleNamespace(steps=np.arange(values.shape[1]), values=row) for row in values]
    return OnAxis(common_axis(curves), curves)


def positions(values):
    return [found.position for found in common_outliers(on_axis(values))]


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def test_an_odd_batch_stands_out_once_for_all_seeds(rng):
    values = batches(rng, 5)
    assert positions(values) == []
    values[:, 1200] += 2.0
    (found,) = common_outliers(on_axis(values))
    assert found.position == 1200
    around = values[2, 1136:1265]
    assert found.centre[2] == pytest.approx(np.median(around))
    assert found.scale[2] == pytest.approx(1.4826 * np.median(np.abs(around - np.median(around))))


def test_what_few_of_the_seeds_show_is_none(rng):
    values = batches(rng, 5)
    values[:3, 1200] += 2.0
    assert positions(values) == []
    assert positions(values[:3]) == [1200]
    assert positions(values[:2]) == []  # two seeds may coincide


def test_seeds_that_have_ended_are_not_asked(rng):
    values = batches(rng, 5)
    values[3:, 1000:] = np.nan
    values[:3, 1200] += 2.0
    (found,) = common_outliers(on_axis(values))
    assert found.position == 1200
    assert np.isnan(found.centre[3:]).all()


def test_better_is_no_incident(rng):
    values = batches(rng, 5)
    values[:, 1200] -= 2.0
    assert positions(values) == []


@pytest.mark.parametrize("law", ["standard_normal", "t3"])
def test_independent_noise_makes_none(rng, law):
    shape = (5, 20_000)
    noise = rng.standard_normal(shape) if law == "standard_normal" else rng.standard_t(3, size=shape)
    assert positions(noise) == []


def test_noise_of_such_a_shape_is_no_event(rng):
    common = rng.lognormal(sigma=1.0, size=20_000)
    assert positions(common + 0.05 * rng.normal(size=(5, 20_000))) == []


def test_unit_and_origin_do_not_matter(rng):
    values = batches(rng, 4)
    values[:, 700] += 2.0
    assert positions(1000 * values - 7) == positions(values) == [700]


def test_short_series_say_nothing(rng):
    values = batches(rng, 4, num_steps=100)
    values[:, 50] += 5.0
    assert positions(values) == []


@pytest.mark.parametrize("at_once", [1, 35, 10_000])
def test_a_part_at_a_time_is_the_same(rng, monkeypatch, at_once):
    values = batches(rng, 5)
    values[:, [70, 1200, 1264, 2990]] += 2.0
    values[1, 500:1300] = np.nan
    whole = common_outliers(on_axis(values))
    assert [found.position for found in whole] == [70, 1200, 1264]  # 64 positions around it are needed
    monkeypatch.setattr(module, "_AT_ONCE", at_once)
    for found, again in zip(whole, common_outliers(on_axis(values)), strict=True):
        for part, same in zip(found, again, strict=True):
            np.testing.assert_array_equal(part, same)
        np.testing.assert_array_equal(found.values, values[:, found.position])
