import numpy as np
import pytest
from scipy import stats

from stabilimeter.stats.shared import chance_of_at_least, shared_steps

AXIS = np.arange(1000)


@pytest.mark.parametrize("count", range(6))
def test_equal_chances_are_binomial(count):
    assert chance_of_at_least(count, np.full(5, 0.3)) == pytest.approx(stats.binom.sf(count - 1, 5, 0.3))


def test_unequal_chances_by_enumeration():
    p = np.array([0.1, 0.5, 0.9])
    exactly_3 = 0.1 * 0.5 * 0.9
    exactly_2 = 0.1 * 0.5 * 0.1 + 0.1 * 0.5 * 0.9 + 0.9 * 0.5 * 0.9
    assert chance_of_at_least(2, p) == pytest.approx(exactly_2 + exactly_3)


def seeds(*steps):
    return [np.array(own, dtype=np.int64) for own in steps]


def test_same_step_in_all_seeds_is_shared_and_others_are_not():
    onsets = seeds([100, 400], [100, 555], [100], [100, 901], [100])
    assert shared_steps(onsets, [AXIS] * 5) == [100]


def test_different_steps_are_not_shared():
    assert shared_steps(seeds([100], [101], [102], [103], [104]), [AXIS] * 5) == []


def test_unstable_seeds_meet_by_chance():
    """Two of five seeds that spike at every tenth step: the same step is no surprise."""
    onsets = seeds(range(0, 1000, 10), range(0, 1000, 20), [], [], [])
    assert shared_steps(onsets, [AXIS] * 5) == []


def test_independent_incidents_are_hardly_ever_called_shared():
    rng = np.random.default_rng(0)
    called = sum(
        bool(shared_steps([np.flatnonzero(rng.random(1000) < 0.002) for _ in range(5)], [AXIS] * 5)) for _ in range(200)
    )
    assert called / 200 < 0.06


def test_seeds_that_had_ended_say_nothing():
    """Two of three that reached the step have it; that the other two were unstable before does not matter."""
    axes = [AXIS, AXIS, AXIS, AXIS[:500], AXIS[:600]]
    unstable = range(0, 500, 5)
    assert shared_steps(seeds([700], [700], [], unstable, unstable), axes) == [700]
    assert shared_steps(seeds([700], [700], [], unstable, unstable), [AXIS] * 5) == []


@pytest.mark.parametrize("n", [1, 2])
def test_two_seeds_cannot_tell(n):
    assert shared_steps(seeds(*[[100]] * n), [AXIS] * n) == []


def test_nothing_at_all():
    assert shared_steps([], []) == []
    assert shared_steps(seeds([], [], []), [AXIS] * 3) == []
