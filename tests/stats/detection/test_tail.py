import math

import numpy as np
import pytest
from scipy.special import ndtr, stdtr, stdtrit

from stabilimeter.stats.detection.tail import LOGARITHMS, VALUES, certain_reach, chance_above, learnt, no_evidence

ONE_SIGMA = 0.8413447460685429


def taught(residuals, shapes=VALUES):
    weights = no_evidence()
    for u in residuals:
        weights = learnt(shapes, weights, float(u))
    return weights


def gaussian(rng, n):
    return rng.standard_normal(n)


def student_t3(rng, n):
    return rng.standard_t(3, n) / stdtrit(3, ONE_SIGMA)


def lognormal(rng, n):
    return (rng.lognormal(0.0, 1.2, n) - 1.0) / math.sinh(1.2)  # in units of half the central 68 %


def test_the_shape_is_learnt():
    rng = np.random.default_rng(0)
    light, heavy, skewed = (taught(noise(rng, 3000)) for noise in (gaussian, student_t3, lognormal))
    for u in (5.0, 10.0, 20.0):
        by_shape = [chance_above(VALUES, weights, u, 128) for weights in (light, heavy, skewed)]
        assert by_shape == sorted(set(by_shape))


def test_chances_match_the_exact_tails():
    rng = np.random.default_rng(1)
    heavy, skewed = taught(student_t3(rng, 4000)), taught(lognormal(rng, 4000))
    assert chance_above(VALUES, heavy, 15.0, 10**6) == pytest.approx(stdtr(3, -15.0 * stdtrit(3, ONE_SIGMA)), rel=0.02)
    exact = ndtr(-math.log1p(15.0 * math.sinh(1.2)) / 1.2)
    assert chance_above(VALUES, skewed, 15.0, 10**6) == pytest.approx(exact, rel=0.02)


def test_the_tail_of_logarithms_is_exponential():
    """The logarithm of a power tail; among values the same residuals are taken for the longer tail of Student's t."""
    rng = np.random.default_rng(4)
    decay = -math.log(2.0 * (1.0 - ONE_SIGMA))
    residuals = rng.laplace(0.0, 1.0 / decay, 4000)
    weights = taught(residuals, LOGARITHMS)
    assert chance_above(LOGARITHMS, weights, 9.0, 10**6) == pytest.approx(0.5 * math.exp(-decay * 9.0), rel=0.05)
    assert chance_above(LOGARITHMS, weights, 9.0, 10**6) < 0.1 * chance_above(VALUES, taught(residuals), 9.0, 10**6)
    light = taught(gaussian(rng, 3000), LOGARITHMS)
    assert chance_above(LOGARITHMS, light, 9.0, 10**6) < 0.1 * chance_above(LOGARITHMS, weights, 9.0, 10**6)


def test_an_uncertain_scale_is_an_average_over_its_gamma_distribution():
    """The exponential tail with 20 residuals behind its scale, beside a Monte Carlo average of decays."""
    weights = (-1e9, 0.0, -1e9)
    decay = -math.log(2.0 * (1.0 - ONE_SIGMA)) * np.random.default_rng(5).gamma(18.8, 1.0 / 18.8, 400_000)
    average = 0.5 * np.exp(-6.0 * decay).mean()
    assert chance_above(LOGARITHMS, weights, 6.0, 20) == pytest.approx(average, rel=0.02)


@pytest.mark.parametrize("shapes", [VALUES, LOGARITHMS])
def test_chance_falls_with_distance_and_with_experience(shapes):
    weights = no_evidence()
    chances = [chance_above(shapes, weights, u, 64) for u in (1.5, 3.0, 6.0, 12.0, 1e6, math.inf)]
    assert chances == sorted(chances, reverse=True)
    assert chances[-1] == 0.0
    by_n = [chance_above(shapes, weights, 8.0, n) for n in (4, 8, 16, 64, 128)]
    assert by_n == sorted(by_n, reverse=True)
    assert by_n[0] > 100 * by_n[-1]


def test_far_residuals_and_improvements_teach_nothing():
    weights = taught([1.0, 2.0])
    assert all(learnt(VALUES, weights, u) == weights for u in (6.0, 1e9, -1.0, math.nan))
    assert learnt(VALUES, weights, 1.0) != weights


def test_the_shape_is_forgotten():
    rng = np.random.default_rng(2)
    before = taught(student_t3(rng, 3000))
    after = before
    for u in gaussian(rng, 30_000):
        after = learnt(VALUES, after, float(u))
    assert chance_above(VALUES, after, 10.0, 128) < 0.05 * chance_above(VALUES, before, 10.0, 128)


@pytest.mark.parametrize("shapes", [VALUES, LOGARITHMS])
@pytest.mark.parametrize("chance", [5e-3, 5e-5, 5e-8])
def test_within_the_certain_reach_every_chance_is_larger(chance, shapes):
    rng = np.random.default_rng(3)
    reach = certain_reach(chance)
    for n in (1, 4, 16, 128, 10**9):
        for weights in [(0.0, 0.0, 0.0), *rng.normal(0.0, 30.0, (200, 3)).tolist()]:
            assert chance_above(shapes, weights, reach, n) > chance
    assert min(chance_above(VALUES, (9.0 * i, 9.0 * (1 - i), 0.0), 1.02 * reach, 10**9) for i in (0, 1)) < chance
