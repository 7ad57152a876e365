import numpy as np
import pytest
from scipy import stats

from stabilimeter.stats.intervals import (
    bootstrap_t_interval,
    jackknife_t_on_logit,
    mover_product,
    t_interval,
    t_quantile,
    wilson_interval,
)


@pytest.mark.parametrize(("df", "probability"), [(1, 0.975), (4, 0.95), (30, 0.6)])
def test_t_quantile(df, probability):
    assert t_quantile(df, probability) == pytest.approx(stats.t.ppf(probability, df))


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_t_interval_agrees_with_scipy(level):
    values = np.random.default_rng(0).normal(size=7)
    reference = stats.t.interval(level, 6, loc=values.mean(), scale=stats.sem(values))
    assert t_interval(values, level) == pytest.approx(reference)


def test_t_interval_needs_two_values():
    with pytest.raises(ValueError, match="at least 2"):
        t_interval(np.array([1.0]))


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    # Published values: Newcombe 1998, table I, and the share of failures that 0 of n leaves possible
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_published(k, n, low, high):
    assert wilson_interval(k, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("k", "n"), [(k, n) for n in (1, 3, 5, 30) for k in (0, 1, n // 2, n)])
def test_wilson_interval_agrees_with_scipy(k, n):
    reference = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(k, n) == pytest.approx((reference.low, reference.high), abs=1e-12)


def test_five_of_five_promise_57_percent():
    assert wilson_interval(5, 5)[0] == pytest.approx(0.566, abs=5e-4)


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3), (0, 0)])
def test_wilson_refuses_what_is_no_share(k, n):
    with pytest.raises(ValueError, match="0 <= k <= n"):
        wilson_interval(k, n)


def test_bootstrap_t_covers_a_skewed_mean_better_than_t():
    rng = np.random.default_rng(1)
    truth = float(np.exp(0.5))
    hits = {"t": 0, "bootstrap-t": 0}
    for _ in range(300):
        values = rng.lognormal(size=6)
        low, high = t_interval(values)
        hits["t"] += low <= truth <= high
        low, high = bootstrap_t_interval(values, rng=rng, draws=999)
        hits["bootstrap-t"] += low <= truth <= high
    assert hits["bootstrap-t"] / 300 >= 0.87
    assert hits["bootstrap-t"] > hits["t"]


def test_bootstrap_t_uses_the_generator_it_is_given():
    values = np.random.default_rng(2).normal(size=6)
    one = bootstrap_t_interval(values, rng=np.random.default_rng(5))
    assert bootstrap_t_interval(values, rng=np.random.default_rng(5)) == one
    assert bootstrap_t_interval(values, rng=np.random.default_rng(6)) != one


def test_bootstrap_t_at_the_edges():
    assert bootstrap_t_interval(np.full(5, 2.0), rng=np.random.default_rng(0)) == (2.0, 2.0)
    with pytest.raises(ValueError, match="at least 3"):
        bootstrap_t_interval(np.ones(2), rng=np.random.default_rng(0))


def test_jackknife_of_a_mean_is_the_t_interval_on_a_nearly_linear_logit():
    values = 0.5 + 1e-4 * np.random.default_rng(3).normal(size=8)
    point, limits = jackknife_t_on_logit(lambda seeds: float(values[seeds].mean()), 8)
    assert point == values.mean()
    assert limits == pytest.approx(t_interval(values), abs=1e-9)


def test_jackknife_leaves_each_seed_out_once():
    asked = []

    def share(seeds):
        asked.append(seeds.tolist())
        return 0.5

    _, limits = jackknife_t_on_logit(share, 3)
    assert sorted(map(tuple, asked)) == [(0, 1), (0, 1, 2), (0, 2), (1, 2)]
    assert limits == pytest.approx((0.5, 0.5))


def test_jackknife_stays_within_0_and_1():
    values = np.array([0.2, 0.99, 0.999])
    _, (low, high) = jackknife_t_on_logit(lambda seeds: float(values[seeds].mean()), 3)
    assert 0 < low < high < 1
    assert jackknife_t_on_logit(lambda seeds: 1.0, 3)[1] == pytest.approx((1.0, 1.0))


def test_jackknife_needs_three_seeds():
    with pytest.raises(ValueError, match="at least 3"):
        jackknife_t_on_logit(lambda seeds: 0.5, 2)


def test_mover_by_hand():
    # log distances: 0.8 -> 0.4 is log 2, 0.5 -> 0.25 is log 2; in squares sqrt(2) log 2
    low, high = mover_product(0.8, (0.4, 0.8), 0.5, (0.25, 1.0))
    assert low == pytest.approx(0.4 * 2 ** -np.sqrt(2))
    assert high == pytest.approx(0.4 * 2)


def test_mover_is_narrower_than_the_product_of_limits_and_holds_the_estimate():
    low, high = mover_product(0.8, (0.5, 0.95), 0.7, (0.6, 0.75))
    assert 0.5 * 0.6 < low < 0.8 * 0.7 < high < 0.95 * 0.75


def test_mover_with_a_limit_at_zero_and_bad_estimates():
    assert mover_product(0.5, (0.0, 0.9), 0.5, (0.4, 0.6))[0] == 0.0
    with pytest.raises(ValueError, match="positive"):
        mover_product(0.0, (0.0, 0.4), 0.5, (0.4, 0.6))


def test_mover_covers_a_product_of_a_share_and_a_mean():
    rng = np.random.default_rng(4)
    n, p, q = 20, 0.8, 0.7
    hits = 0
    for _ in range(400):
        k = rng.binomial(n, p)
        values = q + 0.1 * rng.normal(size=n)
        limits = mover_product(k / n, wilson_interval(k, n), float(values.mean()), t_interval(values))
        hits += limits[0] <= p * q <= limits[1]
    assert 0.92 <= hits / 400 <= 0.985
