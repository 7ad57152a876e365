import math

import numpy as np
import pytest
from scipy.special import ndtr, stdtr, stdtrit

from stabilimeter.stats.detection.tail import certain_reach, chance_above, learnt, no_evidence

ONE_SIGMA = 0.8413447460685429


def taught(residuals):
    weights = no_evidence()
    for u in residuals:
        weights = learnt(weights, float(u))
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
        assert chance_above(light, u, 128) < chance_above(heavy, u, 128) < chance_above(skewed, u, 128)


def test_chances_match_the_exact_tails():
    rng = np.random.default_rng(1)
    heavy, skewed = taught(student_t3(rng, 4000)), taught(lognormal(rng, 4000))
    assert chance_above(heavy, 15.0, 10**6) == pytest.approx(stdtr(3, -15.0 * stdtrit(3, ONE_SIGMA)), rel=0.02)
    exact = ndtr(-math.log1p(15.0 * math.sinh(1.2)) / 1.2)
    assert chance_above(skewed, 15.0, 10**6) == pytest.approx(exact, rel=0.02)


def test_chance_falls_with_distance_and_with_experience():
    weights = no_evidence()
    chances = [chance_above(weights, u, 64) for u in (1.5, 3.0, 6.0, 12.0, 1e6, math.inf)]
    assert chances == sorted(chances, reverse=True)
    assert chances[-1] == 0.0
    by_n = [chance_above(weights, 8.0, n) for n in (4, 8, 16, 64, 128)]
    assert by_n == sorted(by_n, reverse=True)
    assert by_n[0] > 100 * by_n[-1]


def test_far_residuals_and_improvements_teach_nothing():
    weights = taught([1.0, 2.0])
    assert learnt(weights, 6.0) == learnt(weights, 1e9) == learnt(weights, -1.0) == learnt(weights, math.nan) == weights
    assert learnt(weights, 1.0) != weights


def test_the_shape_is_forgotten():
    rng = np.random.default_rng(2)
    before = taught(student_t3(rng, 3000))
    after = before
    for u in gaussian(rng, 30_000):
        after = learnt(after, float(u))
    assert chance_above(after, 10.0, 128) < 0.05 * chance_above(before, 10.0, 128)


@pytest.mark.parametrize("chance", [5e-3, 5e-5, 5e-8])
def test_within_the_certain_reach_every_chance_is_larger(chance):
    rng = np.random.default_rng(3)
    reach = certain_reach(chance)
    for n in (1, 4, 16, 128, 10**9):
        for weights in [(0.0, 0.0, 0.0), *rng.normal(0.0, 30.0, (200, 3)).tolist()]:
            assert chance_above(weights, reach, n) > chance
    assert min(chance_above((9.0 * i, 9.0 * (1 - i), 0.0), 1.02 * reach, 10**9) for i in (0, 1)) < chance
