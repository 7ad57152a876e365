import numpy as np
import pytest

from stabilimeter.stats.multiplicity import holm


def test_worked_by_hand():
    # Ordered 0.01, 0.03, 0.04, times 3, 2, 1: 0.03, 0.06, 0.04, of which the last may not be below the one before.
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_where_deepsigs_correction_runs_downhill():
    """It gives 0.030, 0.022, 0.012 for these: the weakest result would look strongest."""
    assert holm([0.01, 0.011, 0.012]) == pytest.approx([0.03, 0.03, 0.03])


def test_one_test_needs_no_correction_and_none_gives_none():
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


def test_never_above_one_and_never_weaker_than_bonferroni():
    p = np.random.default_rng(0).random(50)
    adjusted = np.array(holm(list(p)))
    assert np.all(adjusted <= np.minimum(1, 50 * p))
    assert np.all(adjusted >= p)
    assert np.array_equal(np.argsort(adjusted[np.argsort(p)], kind="stable"), np.arange(50))


def test_chance_of_any_false_alarm_is_the_level():
    p = np.random.default_rng(1).random((4000, 3))
    alarms = np.mean([min(holm(list(row))) <= 0.05 for row in p])
    assert alarms == pytest.approx(1 - (1 - 0.05 / 3) ** 3, abs=0.011)


@pytest.mark.parametrize("bad", [[-0.1], [1.1], [float("nan")]])
def test_refuses_what_is_no_probability(bad):
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        holm(bad)
