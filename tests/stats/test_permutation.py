import itertools
import math

import numpy as np
import pytest
from scipy import stats

from stabilimeter.stats import permutation
from stabilimeter.stats.permutation import MAX_EXACT, sign_flip_test, two_sample_test


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def scipys(samples, kind):
    def statistic(*sides):
        return sides[0].mean() - sides[1].mean() if len(sides) == 2 else sides[0].mean()

    return stats.permutation_test(samples, statistic, permutation_type=kind, n_resamples=np.inf).pvalue


@pytest.mark.parametrize(("n", "m"), [(2, 2), (2, 3), (3, 3), (4, 4), (5, 5), (3, 8), (6, 6)])
@pytest.mark.parametrize("shift", [0.0, 1.0, -2.0])
def test_two_samples_as_scipy_counts_them(n, m, shift, rng):
    first, second = rng.normal(size=n), rng.normal(size=m) + shift
    assert two_sample_test(first, second, rng=rng).p == pytest.approx(scipys((first, second), "independent"))


@pytest.mark.parametrize("n", [2, 3, 5, 8, 10])
def test_signs_as_scipy_counts_them(n, rng):
    differences = rng.normal(size=n) + 0.5
    assert sign_flip_test(differences, rng=rng).p == pytest.approx(scipys((differences,), "samples"))


@pytest.mark.parametrize(("n", "p"), [(3, 0.1), (4, 2 / 70), (5, 2 / 252), (10, 2 / 184_756)])
def test_complete_separation_gives_the_smallest_p_there_is(n, p, rng):
    result = two_sample_test(np.arange(n) + 0.5, np.arange(n) - 100.0, rng=rng)
    assert result.p == pytest.approx(p)
    assert result.p_min == pytest.approx(p)
    assert result.exact


@pytest.mark.parametrize(("n", "p"), [(3, 0.25), (5, 0.0625), (6, 0.03125), (10, 2 / 1024)])
def test_equal_signs_give_the_smallest_p_there_is(n, p, rng):
    result = sign_flip_test(np.linspace(1.0, 2.0, n), rng=rng)
    assert (result.p, result.p_min, result.exact) == (p, p, True)


def test_one_value_proves_nothing(rng):
    assert two_sample_test(np.array([1.0]), np.array([5.0]), rng=rng).p == 1.0
    assert sign_flip_test(np.array([3.0]), rng=rng).p == 1.0


def test_every_relabeling_is_counted_also_where_none_is_listed(rng):
    """11 against 9: 167,960 relabelings, here by brute force."""
    first, second = rng.normal(size=11).round(1), rng.normal(size=9).round(1) + 0.4
    pool = np.round(10 * np.concatenate([first, second])).astype(int)
    observed = pool[:11].sum()
    sums = np.array([sum(chosen) for chosen in itertools.combinations(pool.tolist(), 11)])
    assert sums.size == math.comb(20, 11)
    share = min(np.mean(sums >= observed), np.mean(sums <= observed))
    assert two_sample_test(first, second, rng=rng).p == pytest.approx(min(1.0, 2 * share))


def test_decimal_ties_are_ties(rng):
    """0.1 + 0.2 is not 0.3 in binary; as a relabeling it is just as extreme."""
    first, second = np.array([0.3, 0.0, 0.0]), np.array([0.1, 0.2, 0.0])
    assert two_sample_test(first, second, rng=rng).p == 1.0
    assert sign_flip_test(np.array([0.1, 0.2, -0.3]), rng=rng).p == 1.0


@pytest.mark.parametrize(
    ("first", "second", "recorded"),
    [
        ([0.82, 0.84, 0.83], [0.78, 0.80, 0.79], 0.1199),
        ([0.80, 0.82, 0.79, 0.85, 0.81], [0.79, 0.80, 0.83, 0.78, 0.80], 0.2907),
        (
            [0.8558, 0.8287, 0.8219, 0.7827, 0.8145, 0.8129, 0.8183, 0.8075, 0.8191, 0.8105],
            [0.7737, 0.8177, 0.8176, 0.8342, 0.8010, 0.7919, 0.7891, 0.7691, 0.8196, 0.7780],
            0.0649,
        ),
    ],
)
def test_half_of_the_paired_p_is_what_deepsig_samples(first, second, recorded, rng):
    """Its permutation test is one-sided, swaps within pairs without saying so, and draws 1,000 times."""
    exact = sign_flip_test(np.array(first) - np.array(second), rng=rng).p / 2
    assert recorded == pytest.approx(exact, abs=3.5 * math.sqrt(exact / 1000))


def test_nan_is_refused_where_deepsig_answers_p_below_a_thousandth(rng):
    with pytest.raises(ValueError, match="finite"):
        two_sample_test(np.array([0.80, np.nan, 0.83]), np.array([0.78, 0.80, 0.79]), rng=rng)
    with pytest.raises(ValueError, match="finite"):
        sign_flip_test(np.array([]), rng=rng)


@pytest.mark.parametrize(("scale", "offset"), [(1000.0, 7.0), (1e-6, -3.0), (1.0, 1e5)])
def test_p_is_free_of_unit_and_origin(scale, offset, rng):
    first, second = rng.normal(size=7).round(2), rng.normal(size=6).round(2)
    plain = two_sample_test(first, second, rng=rng).p
    assert two_sample_test(scale * first + offset, scale * second + offset, rng=rng).p == pytest.approx(plain)
    assert two_sample_test(-first, -second, rng=rng).p == pytest.approx(plain)
    assert two_sample_test(second, first, rng=rng).p == pytest.approx(plain)


def test_sampled_p_estimates_the_exact_one_and_is_never_zero(rng, monkeypatch):
    first, second = rng.normal(size=8), rng.normal(size=8) + 0.9
    exact = two_sample_test(first, second, rng=rng).p
    flips = sign_flip_test(second - first, rng=rng).p
    monkeypatch.setattr(permutation, "MAX_EXACT", 4)
    sampled = two_sample_test(first, second, rng=rng)
    assert not sampled.exact
    assert sampled.p == pytest.approx(exact, abs=0.015)
    assert sign_flip_test(second - first, rng=rng).p == pytest.approx(flips, abs=0.015)
    apart = two_sample_test(first, second + 100, rng=rng, draws=99)
    assert apart.p == apart.p_min == pytest.approx(2 / 100)
    assert two_sample_test(first[:2], second[:3], rng=rng, draws=99).p_min == pytest.approx(2 / 10)


def test_many_seeds_are_sampled_in_pieces(rng, monkeypatch):
    monkeypatch.setattr(permutation, "_CHUNK", 1000)
    first, second = rng.normal(size=30), rng.normal(size=30) + 0.4
    assert first.size + second.size > MAX_EXACT
    result = two_sample_test(first, second, rng=rng)
    assert result.p == pytest.approx(stats.ttest_ind(first, second).pvalue, abs=0.02)
    again = two_sample_test(first, second, rng=np.random.default_rng(5))
    assert again == two_sample_test(first, second, rng=np.random.default_rng(5))


@pytest.mark.parametrize("draw", ["normal", "exponential"])
def test_type_one_error_is_at_most_the_level(draw):
    rng = np.random.default_rng(1)
    p = np.array(
        [two_sample_test(getattr(rng, draw)(size=5), getattr(rng, draw)(size=5), rng=rng).p for _ in range(2000)]
    )
    # 12 of 252 relabelings make p <= 0.05 reachable as 0.0476; three standard errors of the simulation are 0.014.
    assert np.mean(p <= 0.05) == pytest.approx(0.0476, abs=0.014)
    assert np.mean(p <= 0.5) == pytest.approx(0.5, abs=0.035)


def test_pairs_hold_the_level_and_see_more_than_their_unpaired_halves():
    rng = np.random.default_rng(2)
    level, paired, unpaired = [], [], []
    for _ in range(400):
        seed = rng.normal(size=10)
        first, second = seed + 0.3 * rng.normal(size=10), seed + 0.3 * rng.normal(size=10)
        level.append(sign_flip_test(second - first, rng=rng).p <= 0.05)
        paired.append(sign_flip_test(second - first + 0.5, rng=rng).p <= 0.05)
        unpaired.append(two_sample_test(first, second + 0.5, rng=rng).p <= 0.05)
    assert np.mean(level) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)
    assert np.mean(paired) > 0.7 > 0.3 > np.mean(unpaired)
