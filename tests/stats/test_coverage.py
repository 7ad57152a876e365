"""A small fixed-seed version of ``benchmarks/coverage.py``: intervals hold their level, at few seeds above all."""

import numpy as np
import pytest

from stabilimeter.stats.intervals import bootstrap_t_interval, t_interval
from stabilimeter.stats.stability import Troubles, credit, quality, stability_score

SEED_SD = 0.02


def troubles(rng):
    spikes, noise, regression = rng.gamma(2.0, 0.5, size=3) * (0.0003, 0.02, 0.03)
    return Troubles(float(spikes), float(noise), float(regression))


@pytest.mark.parametrize("n", [3, 5, 10])
def test_t_interval_of_a_mean(n):
    samples = np.random.default_rng(n).normal(size=(4000, n))
    assert np.mean([low <= 0 <= high for low, high in map(t_interval, samples)]) == pytest.approx(0.95, abs=0.01)


def test_bootstrap_t_is_worth_it_for_skewed_values_of_five_seeds():
    rng = np.random.default_rng(0)
    samples = rng.lognormal(size=(600, 5)) - np.exp(0.5)
    plain = np.mean([low <= 0 <= high for low, high in map(t_interval, samples)])
    drawn = np.mean([low <= 0 <= high for low, high in (bootstrap_t_interval(s, rng=rng, draws=499) for s in samples)])
    assert drawn > plain + 0.03
    assert drawn == pytest.approx(0.895, abs=0.04)


@pytest.mark.parametrize(("n", "p"), [(3, 0.0), (5, 0.1), (10, 0.3)])
def test_score_interval_holds_the_true_score(n, p):
    rng = np.random.default_rng(10 * n)
    within = np.mean([quality(troubles(rng)) for _ in range(20_000)])
    truth = 100 * (1 - p) * within**0.75 * credit(SEED_SD, 0.05) ** 0.25
    held = []
    for _ in range(500):
        n_failed = int(rng.binomial(n, p))
        survivors = [troubles(rng) for _ in range(n - n_failed)]
        score = stability_score(survivors, n_failed, rng.normal(scale=SEED_SD, size=n - n_failed), 1.0)
        if score.low is not None:
            held.append(score.low <= truth <= score.high)
    assert len(held) > 400
    assert np.mean(held) >= 0.93 - 3 * np.sqrt(0.93 * 0.07 / len(held))
    assert np.mean(held) >= 0.91
