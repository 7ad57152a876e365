import numpy as np
import pytest

from stabilimeter.stats.checkpoint_regression import best_so_far, checkpoint_regression, median_of_3, upper_cvar


@pytest.mark.parametrize("n", [1, 5, 19, 20])
def test_tail_is_the_maximum_up_to_20_values(n):
    values = np.random.default_rng(n).permutation(n).astype(float)
    assert upper_cvar(values) == n - 1


def test_fractional_tail_by_hand():
    values = np.arange(50.0)  # 2.5 values in the tail: 49, 48 and half of 47
    assert upper_cvar(values) == pytest.approx((49 + 48 + 0.5 * 47) / 2.5)
    assert upper_cvar(np.arange(40.0)) == (39 + 38) / 2


def test_tail_of_everything_is_the_mean():
    values = np.random.default_rng(0).normal(size=37)
    assert upper_cvar(values, share=1.0) == pytest.approx(values.mean())


def test_tail_agrees_with_an_integral_of_the_quantile_function():
    values = np.random.default_rng(1).normal(size=33)
    ordered = np.sort(values)
    grid = (np.arange(200_000) + 0.5) / 200_000
    quantiles = ordered[np.minimum((grid * 33).astype(int), 32)]
    assert upper_cvar(values, 0.1) == pytest.approx(quantiles[grid > 0.9].mean(), rel=1e-4)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1])
def test_tail_refuses_a_share_out_of_range(share):
    with pytest.raises(ValueError, match="share must be in"):
        upper_cvar(np.ones(3), share)


def test_tail_refuses_nothing():
    with pytest.raises(ValueError, match="at least one value"):
        upper_cvar(np.empty(0))


def test_one_lucky_evaluation_does_not_set_the_mark():
    values = np.array([5.0, 4.0, 4.0, 0.0, 4.0, 4.0])
    assert best_so_far(values).tolist() == [5.0, 5.0, 4.0, 4.0, 4.0, 4.0]
    assert median_of_3(np.array([3.0])).tolist() == [3.0]


def falling(n=60):
    return 10 * 0.9 ** np.arange(n)


def test_steady_improvement_has_no_regression():
    result = checkpoint_regression(falling(), scale=10.0)
    assert (result.tail, result.final, result.count) == (0.0, 0.0, 0)


def test_one_bad_checkpoint_twin():
    values = falling()
    values[40] += 3.0
    result = checkpoint_regression(values, scale=10.0)
    # 5 % of 60 evaluations are 3: the bad one and two that are no worse than the best before them
    assert result.tail == pytest.approx(0.1, abs=0.005)
    assert result.count == 1
    assert result.final == 0.0


def test_final_regret():
    values = np.concatenate([falling(), [2.0]])
    result = checkpoint_regression(values, scale=10.0)
    assert result.final == pytest.approx((2.0 - falling()[-1]) / 10, rel=0.05)


def test_noise_is_not_charged_twice():
    rng = np.random.default_rng(2)
    noisy = np.concatenate([np.linspace(10, 1, 30), np.ones(170)]) + rng.normal(scale=0.02, size=200)
    assert checkpoint_regression(noisy, scale=9.0).tail < 0.006
    noisy[[100, 120, 150]] += 4.0
    assert checkpoint_regression(noisy, scale=9.0).tail > 0.1


def test_does_not_depend_on_unit_and_origin():
    values = falling()
    values[[20, 40]] += 1.5
    one, other = checkpoint_regression(values, 10.0), checkpoint_regression(1000 * values + 7, 10_000.0)
    assert other.tail == pytest.approx(one.tail)
    assert other.final == pytest.approx(one.final)
    assert other.count == one.count


def test_non_finite_evaluations_are_left_out_and_few_are_not_judged():
    values = falling()
    assert checkpoint_regression(np.insert(values, 5, np.nan), 10.0) == checkpoint_regression(values, 10.0)
    assert checkpoint_regression(values[:4], 10.0) is None
    assert checkpoint_regression(np.full(100, np.nan), 10.0) is None


def test_rounding_of_a_noise_free_curve_is_not_counted():
    values = np.concatenate([falling(), np.full(40, falling()[-1] + 1e-7)])
    assert checkpoint_regression(values, scale=10.0).count == 0
