import numpy as np
import pytest
from scipy import stats

from stabilimeter.stats.permutation import sign_flip_test, two_sample_test
from stabilimeter.stats.power import MIN_PAIRS, MIN_UNPAIRED, Noise, seeds_to_equate, seeds_to_exclude, seeds_to_tell

EQUAL = Noise(1.0, 1.0)


@pytest.mark.parametrize(("d", "n"), [(0.2, 394), (0.3, 176), (0.5, 64), (0.6, 45), (0.8, 26), (1.0, 17), (1.2, 12)])
def test_two_groups_as_in_cohens_table(d, n):
    """Cohen 1988, table 2.4.1 (two-sided 0.05, power 0.80), one more where its normal approximation rounds down."""
    assert seeds_to_tell(d, EQUAL) == n
    assert seeds_to_tell(-d, EQUAL) == n


@pytest.mark.parametrize(("d", "n"), [(0.2, 199), (0.5, 34), (0.8, 15), (1.0, 10)])
def test_pairs_as_in_published_tables(d, n):
    """G*Power 3.1, matched pairs, two-sided 0.05, power 0.80."""
    assert seeds_to_tell(d, Noise(1.0)) == n


def test_power_at_the_answer_and_just_below_by_scipys_noncentral_t():
    def power(n, d, s1, s2):
        se = np.sqrt((s1**2 + s2**2) / n)
        df = (n - 1) * (s1**2 + s2**2) ** 2 / (s1**4 + s2**4)
        t = stats.t.ppf(0.975, df)
        return stats.nct.sf(t, df, d / se) + stats.nct.cdf(-t, df, d / se)

    n = seeds_to_tell(1.3, Noise(1.0, 2.5))
    assert power(n, 1.3, 1.0, 2.5) >= 0.8 > power(n - 1, 1.3, 1.0, 2.5)


def test_a_large_difference_still_needs_as_many_as_the_test():
    rng = np.random.default_rng(0)
    assert seeds_to_tell(1e6, EQUAL) == MIN_UNPAIRED == 4
    assert seeds_to_tell(1e6, Noise(1.0)) == MIN_PAIRS == 6
    values = rng.normal(size=6)
    assert two_sample_test(values[:4], values[2:] + 100, rng=rng).p <= 0.05
    assert two_sample_test(values[:3], values[3:] + 100, rng=rng).p > 0.05
    assert sign_flip_test(values + 100, rng=rng).p <= 0.05 < sign_flip_test(values[1:] + 100, rng=rng).p


def test_the_answer_has_the_power_it_promises():
    rng = np.random.default_rng(1)
    n = seeds_to_tell(1.5, EQUAL)
    hits = [two_sample_test(rng.normal(size=n), rng.normal(size=n) + 1.5, rng=rng).p <= 0.05 for _ in range(1000)]
    assert n == 9
    assert np.mean(hits) == pytest.approx(0.85, abs=0.05)


def test_what_no_number_of_seeds_answers():
    assert seeds_to_tell(0.0, EQUAL) is None
    assert seeds_to_tell(1e-4, EQUAL) is None
    assert seeds_to_exclude(1.0, 1.0, EQUAL) is None
    assert seeds_to_equate(-1.0, 1.0, EQUAL) is None


def test_without_noise_the_fewest_do():
    assert seeds_to_tell(0.1, Noise(0.0, 0.0)) == 4
    assert seeds_to_exclude(0.0, 0.1, Noise(0.0, 0.0)) == 2


def test_non_inferiority_against_the_normal_approximation():
    """n = 2 (sd / room)^2 (1.96 + 0.8416)^2, a little more for Student's t."""
    for room in (0.2, 0.5):
        normal = 2 * (1 / room) ** 2 * (1.959964 + 0.841621) ** 2
        assert normal < seeds_to_exclude(0.3, 0.3 + room, EQUAL) < normal + 3


def test_equivalence_against_simulation():
    rng = np.random.default_rng(2)
    n = seeds_to_equate(0.2, 1.0, EQUAL)
    first, second = rng.normal(size=(4000, n)), rng.normal(size=(4000, n)) + 0.2
    interval = stats.ttest_ind(second, first, axis=1, equal_var=False).confidence_interval()
    assert np.mean((interval.low > -1) & (interval.high < 1)) == pytest.approx(0.8, abs=0.03)


def test_answers_are_free_of_the_unit():
    assert seeds_to_tell(0.005, Noise(0.01, 0.01)) == seeds_to_tell(0.5, EQUAL)
    assert seeds_to_equate(3.0, 10.0, Noise(9.0, 4.0)) == seeds_to_equate(0.3, 1.0, Noise(0.9, 0.4))
