import numpy as np
import pytest

from stabilimeter.stats.evaluation_noise import seed_noise, series_noise


def test_noise_of_a_series_is_read_once_it_can_be():
    assert series_noise(np.array([0.1, 0.2, 0.3, np.nan, 0.2])) is None
    values = np.random.default_rng(0).normal(0.9, 0.01, 200)
    noise = series_noise(values)
    assert noise.sd == pytest.approx(0.01, rel=0.2)
    assert (noise.df, noise.source) == (99.0, "series noise")


def made(num_seeds, sd, rng, num_evaluations=30):
    """Seeds that differ for good, that follow a common course, and scatter around it."""
    course = 1 - np.exp(-np.arange(num_evaluations) / 5) + 0.2 * (np.arange(num_evaluations) == 12)
    lasting = rng.normal(0, 0.3, (num_seeds, 1))
    return course + lasting + rng.normal(0, sd, (num_seeds, num_evaluations))


@pytest.mark.parametrize("num_seeds", [2, 4, 10])
def test_noise_over_seeds_is_neither_trend_nor_lasting_difference(num_seeds):
    rng = np.random.default_rng(1)
    found = [seed_noise(made(num_seeds, 0.02, rng), 20).sd for _ in range(300)]
    assert np.median(found) == pytest.approx(0.02, rel=0.1)


def test_one_sibling_that_broke_down_does_not_make_everything_look_ordinary():
    siblings = made(5, 0.02, np.random.default_rng(2))
    siblings[3, 15:] = np.tile([0.1, 0.9], 8)[:15]
    assert seed_noise(siblings, 20).sd < 0.05


def test_noise_is_that_of_the_neighbourhood():
    siblings = made(6, 1.0, np.random.default_rng(3), 60) * np.geomspace(1, 0.001, 60)
    early, late = seed_noise(siblings, 5).sd, seed_noise(siblings, 55).sd
    assert early > 50 * late


def test_too_few_say_nothing():
    assert seed_noise(np.ones((1, 20)), 3) is None
    assert seed_noise(np.ones((5, 3)), 1) is None
    with pytest.raises(ValueError, match="finite"):
        seed_noise(np.full((2, 9), np.nan), 3)
