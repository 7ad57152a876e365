import math

import numpy as np
import pytest

from stabilimeter.stats.intervals import t_interval
from stabilimeter.stats.stability import (
    COMPONENTS,
    HalfPoints,
    Troubles,
    Weights,
    credit,
    quality,
    seed_spread,
    stability_score,
)

CLEAN = Troubles(spikes=0.0, noise=0.0, regression=0.0)


def same(values, n=5):
    return [values] * n


def test_half_points_earn_half_marks():
    half = HalfPoints()
    assert (half.spikes, half.noise, half.regression, half.seed_spread) == (0.001, 0.05, 0.10, 0.05)
    for point in (half.spikes, half.noise, half.regression, half.seed_spread):
        assert credit(point, point) == 0.5
        assert credit(0.0, point) == 1.0


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_half_points_are_checked(bad):
    with pytest.raises(ValueError, match=r"HalfPoints\.noise must be a positive number"):
        HalfPoints(noise=bad)


def test_quality_is_a_geometric_mean_of_what_was_measured():
    assert quality(Troubles(0.001, 0.05, 0.10)) == pytest.approx(0.5)
    assert quality(Troubles(0.0, 0.0, 0.30)) == pytest.approx(0.25 ** (1 / 3))
    assert quality(Troubles(None, 0.05, 0.30)) == pytest.approx(math.sqrt(0.5 * 0.25))
    assert quality(Troubles(None, None, None)) is None
    assert quality(Troubles(None, 0.1, None), HalfPoints(noise=0.1)) == pytest.approx(0.5)


def test_seed_spread_by_hand():
    # sd of 1, 2, 3 is 1; c4(3) = 0.886227
    assert seed_spread(np.array([1.0, 2.0, 3.0]), scale=4.0) == pytest.approx(1 / 0.886227 / 4, rel=1e-6)
    assert seed_spread(np.array([1.0, np.nan, 3.0]), scale=1.0) == pytest.approx(math.sqrt(2) / 0.797885, rel=1e-6)
    assert seed_spread(np.array([1.0, np.nan]), scale=1.0) is None


def test_score_by_hand():
    finals = np.array([1.0, 2.0, 3.0])
    result = stability_score(same(Troubles(0.001, 0.05, 0.10), 3), 1, finals, scale=20.0)
    spread = 1 / 0.886227 / 20
    assert result.score == pytest.approx(100 * 0.75 * 0.5**0.75 * (1 / (1 + spread / 0.05)) ** 0.25, rel=1e-6)
    assert result.failure_rate == 0.25
    assert result.not_measured == ()
    assert result.reason is None


def test_weights_by_hand():
    half = HalfPoints(weights=Weights(spikes=2.0, seed_spread=4.0))
    assert quality(Troubles(0.001, 0.0, 0.30), half) == pytest.approx(0.5 ** (2 / 4) * 0.25 ** (1 / 4))
    result = stability_score(
        same(Troubles(0.001, 0.0, 0.0), 3), 0, np.array([1.0, 2.0, 3.0]), scale=20.0, half_points=half
    )
    spread = credit(1 / 0.886227 / 20, 0.05)
    assert result.score == pytest.approx(100 * (0.5 ** (2 / 4)) ** (4 / 8) * spread ** (4 / 8), rel=1e-6)
    lost = result.points_lost
    assert sum(lost.values()) == pytest.approx(100 - result.score)
    assert lost["spikes"] / lost["seed_spread"] == pytest.approx(math.log(0.5) * 2 / 8 / (math.log(spread) * 4 / 8))
    assert Weights().within == 0.75


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan])
def test_weights_are_checked(bad):
    with pytest.raises(ValueError, match=r"Weights\.noise must be a positive number"):
        Weights(noise=bad)


def test_a_perfect_recipe_of_five_seeds_has_a_lower_limit_of_57():
    result = stability_score(same(CLEAN), 0, np.full(5, 0.3), scale=1.0)
    assert result.score == 100
    assert result.low == pytest.approx(56.6, abs=0.05)
    assert result.high == pytest.approx(100.0)
    assert result.given_completion == pytest.approx((100.0, 100.0))
    assert sum(result.points_lost.values()) == 0


def test_points_lost_add_up_and_go_where_they_belong():
    rng = np.random.default_rng(0)
    survivors = [Troubles(*row) for row in rng.uniform(0, [0.002, 0.1, 0.2], size=(4, 3))]
    result = stability_score(survivors, 2, rng.normal(size=4), scale=10.0)
    assert sum(result.points_lost.values()) == pytest.approx(100 - result.score)
    assert set(result.points_lost) == set(COMPONENTS)
    assert min(result.points_lost.values()) > 0
    only = stability_score(same(Troubles(0.0, 0.1, 0.0)), 0, np.zeros(5), scale=1.0).points_lost
    assert {name for name, points in only.items() if points > 0} == {"noise"}


def test_points_lost_share_the_logarithm():
    result = stability_score(same(Troubles(0.001, 0.05, 0.0), 4), 4, np.zeros(4), scale=1.0)
    # failures: log 2; spikes and noise: 3/4 * 1/3 * log 2 each
    shares = {name: points / (100 - result.score) for name, points in result.points_lost.items()}
    assert shares["failures"] == pytest.approx(1 / 1.5)
    assert shares["spikes"] == pytest.approx(0.25 / 1.5)
    assert shares["noise"] == pytest.approx(0.25 / 1.5)
    assert shares["regression"] == shares["seed_spread"] == 0.0


def test_all_failed():
    result = stability_score([], 5, np.empty(0), scale=None)
    assert result.score == 0
    assert result.points_lost == {"failures": 100, "spikes": 0, "noise": 0, "regression": 0, "seed_spread": 0}
    assert (result.low, result.high, result.given_completion) == (None, None, None)
    assert "no seed completed" in result.reason


def test_one_seed_has_a_score_and_no_interval():
    result = stability_score([Troubles(0.0, 0.05, 0.0)], 0, np.array([1.0]), scale=1.0)
    assert result.score == pytest.approx(100 * 0.5 ** (1 / 3))  # no spread: its weight goes to the quality
    assert result.not_measured == ("seed_spread",)
    assert (result.low, result.given_completion) == (None, None)
    assert result.reason == "no interval: 1 measured seed, 3 needed"


def test_two_survivors_have_a_spread_and_no_interval():
    result = stability_score(same(CLEAN, 2), 3, np.array([1.0, 1.1]), scale=1.0)
    assert result.not_measured == ()
    assert result.low is None
    assert result.failure_rate == 0.6


def test_what_could_not_be_measured_is_left_out_and_named():
    result = stability_score(same(Troubles(None, None, 0.10)), 0, np.zeros(5), scale=1.0)
    assert result.not_measured == ("spikes", "noise")
    assert result.score == pytest.approx(100 * 0.5**0.75)


def test_one_seed_that_lacks_a_component_is_named_too():
    result = stability_score([*same(CLEAN, 3), Troubles(0.0, None, 0.0)], 0, np.zeros(4), scale=1.0)
    assert result.not_measured == ("noise",)
    assert result.score == 100
    assert result.low is not None


def test_spikes_alone_do_not_make_a_score():
    result = stability_score(same(Troubles(0.0, None, None)), 0, np.full(5, np.nan), scale=None)
    assert result.score is None
    assert "only loss spikes" in result.reason
    assert result.points_lost == {}
    assert stability_score(same(Troubles(None, None, None)), 0, np.full(5, np.nan), None).reason == (
        "nothing could be measured"
    )
    spread_only = stability_score(same(Troubles(None, None, None)), 0, np.arange(5.0), scale=100.0)
    assert spread_only.score is None


def test_a_failed_seed_never_helps():
    troubles = [Troubles(0.0, 0.02 * k, 0.0) for k in range(5)]
    finals = np.array([1.0, 1.0, 1.0, 1.0, 1.5])
    whole = stability_score(troubles, 0, finals, scale=10.0).score
    worst_failed = stability_score(troubles[:4], 1, finals[:4], scale=10.0).score
    assert worst_failed < whole


def test_limits_hold_the_score_and_widen_with_failures():
    rng = np.random.default_rng(1)
    troubles = [Troubles(0.0, noise, 0.0) for noise in rng.uniform(0.01, 0.08, size=6)]
    finals = rng.normal(size=6)
    none_failed = stability_score(troubles, 0, finals, scale=50.0)
    two_failed = stability_score(troubles, 2, finals, scale=50.0)
    assert none_failed.low < none_failed.score < none_failed.high
    assert two_failed.low < two_failed.score < two_failed.high
    assert none_failed.given_completion == two_failed.given_completion
    assert two_failed.low < none_failed.low


def test_bad_shapes_are_refused():
    with pytest.raises(ValueError, match="at least one seed"):
        stability_score([], 0, np.empty(0), None)
    with pytest.raises(ValueError, match="one value per survivor"):
        stability_score(same(CLEAN, 3), 0, np.zeros(2), 1.0)


@pytest.mark.parametrize(("n", "at_least"), [(3, 0.90), (5, 0.92), (10, 0.92)])
def test_the_interval_given_completion_holds_its_level(n, at_least):
    """Skewed per-seed noise and Gaussian final values; the truth is the score of very many seeds."""
    rng = np.random.default_rng(n)

    def sample(size):
        return [Troubles(0.0, value, 0.02) for value in 0.03 * rng.lognormal(sigma=0.4, size=size)], rng.normal(
            size=size
        )

    many, finals = sample(20_000)
    qualities = np.array([quality(troubles) for troubles in many])
    truth = 100 * qualities.mean() ** 0.75 * credit(seed_spread(finals, 30.0), 0.05) ** 0.25
    hits = 0
    for _ in range(400):
        troubles, finals = sample(n)
        low, high = stability_score(troubles, 0, finals, scale=30.0).given_completion
        hits += low <= truth <= high
    assert hits / 400 >= at_least


def test_the_whole_interval_holds_its_level_when_seeds_fail():
    rng = np.random.default_rng(7)
    truth = 100 * 0.9 * np.mean([quality(Troubles(0.0, value, 0.0)) for value in 0.05 * rng.lognormal(size=20_000)])
    hits = runs = 0
    for _ in range(400):
        failed = int(rng.binomial(10, 0.1))
        survivors = [Troubles(0.0, value, 0.0) for value in 0.05 * rng.lognormal(size=10 - failed)]
        result = stability_score(survivors, failed, np.full(10 - failed, np.nan), scale=None)
        runs += 1
        hits += result.low <= truth <= result.high
    assert hits / runs >= 0.92


def test_without_spread_and_failures_the_interval_is_close_to_that_of_the_mean_quality():
    rng = np.random.default_rng(8)
    survivors = [Troubles(None, value, None) for value in rng.uniform(0.04, 0.06, size=8)]
    qualities = np.array([100 * quality(troubles) for troubles in survivors])
    result = stability_score(survivors, 0, np.full(8, np.nan), scale=None)
    assert result.score == pytest.approx(qualities.mean())
    assert result.given_completion == pytest.approx(t_interval(qualities), abs=0.3)
