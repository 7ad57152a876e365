import numpy as np
import pytest

from stabilimeter.stats.lr_sensitivity import capped, lr_sensitivity

DECADES = np.array([0.001, 0.01, 0.1, 1.0])


def test_worked_by_hand():
    """Means 2, 1, 1.5, 4 (capped); trapezoids over the excess 1, 0, 0.5, 3: (0.5 + 0.25 + 1.75) / 3 decades."""
    losses = np.array([[2.2, 1.2, 1.4, np.nan], [1.8, 0.8, 1.6, 77.0]])
    result = lr_sensitivity(DECADES, losses, 4.0)
    assert result.value == pytest.approx(2.5 / 3)
    assert result.share == pytest.approx(2.5 / 9)
    assert (result.best_lr, result.best_loss, result.ci) == (0.01, pytest.approx(1.0), None)


def test_diverged_runs_count_as_the_loss_before_training():
    worse = np.array([[2.0, 1.0, np.inf], [2.0, 1.0, -np.inf], [2.0, 1.0, np.nan], [2.0, 1.0, 1e30]])
    same = np.array([[2.0, 1.0, 3.0]] * 4)
    lrs = DECADES[:3]
    assert lr_sensitivity(lrs, worse, 3.0).value == lr_sensitivity(lrs, same, 3.0).value
    assert capped(worse, 3.0).max() == 3.0


def test_expectation_is_over_the_logarithm_of_the_learning_rate():
    """The excess |log10(lr) - 1| over [0, 2] has mean 1/2, however the grid is laid and in whatever unit."""
    position = np.array([0.0, 0.3, 1.0, 1.1, 2.0])
    losses = np.abs(position - 1)[None] + 1
    for unit in (1.0, 1e-5):
        result = lr_sensitivity(unit * 10**position, losses, 9.0)
        assert result.value == pytest.approx(0.5)
        assert result.best_lr == pytest.approx(10 * unit)
    assert lr_sensitivity(10**position, 7 * losses + 3, 7 * 9.0 + 3).share == pytest.approx(result.share)


def test_stable_region_ends_where_the_loss_crosses_the_tolerance():
    """Gain 4, tolerance 25 %: limit 2. Excess 2 at 0.001 and 4 at 1.0: crossings half-way and at a quarter."""
    result = lr_sensitivity(DECADES, np.array([[3.0, 1.0, 1.0, 5.0]]), 5.0, tolerance=0.25)
    assert np.log10(result.stable.low) == pytest.approx(-2.5)
    assert np.log10(result.stable.high) == pytest.approx(-0.75)
    assert result.stable.decades == pytest.approx(1.75)
    assert not result.stable.open_below
    assert not result.stable.open_above


def test_a_failed_run_ends_the_region_however_low_its_loss():
    losses = np.array([[3.0, 1.0, 1.0, 1.0]])
    failed = np.array([[False, False, False, True]])
    free = lr_sensitivity(DECADES, losses, 5.0)
    assert (free.stable.high, free.stable.open_above) == (1.0, True)
    cut = lr_sensitivity(DECADES, losses, 5.0, failed=failed)
    assert cut.stable.high == pytest.approx(0.1)
    assert not cut.stable.open_above


def test_interval_contains_the_estimate_and_shrinks_with_agreement():
    rng = np.random.default_rng(0)
    curve = np.array([3.0, 1.0, 1.0, 5.0])
    widths = []
    for noise in (0.2, 0.02):
        result = lr_sensitivity(DECADES, curve + noise * rng.normal(size=(5, 4)), 5.0)
        assert result.ci is not None
        assert result.ci[0] < result.value < result.ci[1]
        assert result.stable.ci is not None
        assert result.stable.ci[0] < result.stable.decades < result.stable.ci[1]
        widths.append(result.ci[1] - result.ci[0])
    assert widths[1] < widths[0] / 4


@pytest.mark.parametrize(
    ("lrs", "losses", "initial", "said"),
    [
        ([0.1], [[1.0]], 2.0, "two or more"),
        ([0.1, 0.01], [[1.0, 1.0]], 2.0, "ascending"),
        ([0.1, 1.0], [[1.0]], 2.0, "shape"),
        ([0.1, 1.0], [[1.0, 1.5]], 1.0, "improves on the loss before training"),
    ],
)
def test_refusals(lrs, losses, initial, said):
    with pytest.raises(ValueError, match=said):
        lr_sensitivity(np.array(lrs), np.array(losses), initial)
