import math

import numpy as np
import pytest
from scipy import stats

from stabilimeter.stats.intervals import wilson_interval
from stabilimeter.stats.seed_place import Place, chance_of_failing, level_at, outlier_p, place_among

NAN = math.nan


class TestLevel:
    def test_median_of_the_steps_up_to_it(self):
        steps, values = np.arange(0, 100, 10), np.arange(10.0)
        assert level_at(steps, values, 90, 50) == np.median([5, 6, 7, 8, 9])
        assert level_at(steps, values, 95, 50) is None  # not there yet
        assert level_at(steps, values, 40, 1) == 4.0
        assert level_at(steps, values, 45, 5) is None  # logged nothing in steps 41 to 45

    def test_what_ends_in_nan_has_no_finite_level_and_a_nan_before_is_passed_over(self):
        steps = np.arange(4)
        assert math.isnan(level_at(steps, np.array([1.0, 2.0, 3.0, NAN]), 3, 4))
        assert level_at(steps, np.array([1.0, NAN, 3.0, 8.0]), 3, 4) == 3.0


class TestPlace:
    def test_by_hand(self):
        # median 3, deviations 2 1 0 1 2, MAD 1
        assert place_among(9.0, [1, 2, 3, 4, 5], "min") == Place(5, 1.0, 3.0, 5.0, 6, pytest.approx(6 / 1.4826))
        assert place_among(9.0, [1, 2, 3, 4, 5], "max").rank == 1
        assert place_among(9.0, [1, 2, 3, 4, 5], None).rank is None
        assert place_among(3.0, [1, 2, 3, 4, 5], "min").rank == 3  # equal to the third: not behind it

    def test_siblings_without_a_finite_level_are_not_in_the_band_and_rank_last(self):
        place = place_among(9.0, [1.0, 2.0, NAN, math.inf], "min")
        assert (place.n, place.low, place.high, place.rank, place.z) == (2, 1.0, 2.0, 3, None)
        assert place_among(NAN, [1.0, 2.0, 3.0], "min").rank == 4
        assert place_among(NAN, [1.0, 2.0, 3.0], "min").z is None
        assert place_among(1.0, [NAN, NAN], "min") is None

    def test_no_z_without_spread(self):
        assert place_among(5.0, [1.0, 1.0, 1.0], "min").z is None

    def test_is_free_of_unit_and_origin(self):
        siblings = np.array([1.0, 2.0, 2.5, 4.0])
        one, other = place_among(7.0, siblings, "min"), place_among(1000 * 7.0 + 7, 1000 * siblings + 7, "min")
        assert (one.rank, one.z) == (other.rank, pytest.approx(other.z))


class TestOutlier:
    def test_is_the_prediction_interval_of_one_more_value(self):
        siblings = [2.0, 2.2, 1.9, 2.4, 2.1]
        n, mean, sd = 5, np.mean(siblings), np.std(siblings, ddof=1)
        edge = mean + stats.t.ppf(0.995, n - 1) * sd * math.sqrt(1 + 1 / n)
        assert outlier_p(edge, siblings) == pytest.approx(0.01)
        assert outlier_p(2 * mean - edge, siblings) == pytest.approx(0.01)

    def test_two_siblings_do_not_tell(self):
        assert outlier_p(100.0, [1.0, 2.0]) is None

    def test_equal_siblings_make_no_outlier_of_one_step_of_resolution(self):
        assert outlier_p(0.98, [0.99] * 8) > 0.3
        assert outlier_p(0.99, [0.99] * 8) == 1.0
        assert outlier_p(0.98, [0.99] * 7 + [0.98]) > 0.05

    @pytest.mark.parametrize("n", [3, 4, 9])
    def test_alarm_rate_holds_for_gaussian_seeds(self, n):
        rng = np.random.default_rng(5)
        draws = 6000
        seeds = rng.normal(2.0, 0.1, size=(draws, n + 1))
        alarms = sum(outlier_p(float(row[0]), row[1:]) <= 0.01 for row in seeds)
        assert 0.006 * draws <= alarms <= 0.014 * draws  # 3 standard errors: 0.0039


class TestOutlook:
    def test_the_five_nearest_or_a_third(self):
        levels = [1.0, 1.1, 1.2, 1.3, 1.4, 9.0, 9.1, 9.2]
        failed = [False] * 5 + [True] * 3
        healthy, lost = chance_of_failing(1.2, levels, failed), chance_of_failing(9.5, levels, failed)
        assert (healthy.k, healthy.n, healthy.interval) == (0, 5, wilson_interval(0, 5))
        assert (lost.k, lost.n, lost.share) == (3, 5, 0.6)
        many = chance_of_failing(9.5, levels * 3, failed * 3)  # a third of 24
        assert (many.k, many.n) == (9, 9)  # eight, and the tie at the edge

    def test_all_of_few(self):
        assert chance_of_failing(1.0, [5.0, 9.0], [True, False]).k == 1
        assert chance_of_failing(1.0, [], []) is None

    def test_nan_is_like_nan(self):
        assert chance_of_failing(NAN, [1.0, NAN, NAN], [False, True, False]).interval == wilson_interval(1, 2)
        assert chance_of_failing(NAN, [1.0, 2.0], [False, False]) is None
        assert chance_of_failing(1.0, [1.0, NAN], [False, True]).n == 1
