import itertools
import math

import numpy as np
import pytest

from stabilimeter.stats.permutation import sign_flip_test
from stabilimeter.stats.sequential import MAX_EXACT, allowed_share, sequential_sign_flips

RNG = np.random.default_rng


def share_that_decides(sizes, n_max, alpha=0.05):
    """By running the test on every pattern of signs of these differences."""
    signs = itertools.product((-1.0, 1.0), repeat=len(sizes))
    decided = [sequential_sign_flips(np.array(s) * sizes, n_max, rng=RNG(0), alpha=alpha)[-1].decides for s in signs]
    return np.mean(decided)


UNTIED = np.sqrt([2.0, 3, 5, 7, 11, 13, 17, 19])


@pytest.mark.parametrize("sizes", [np.ones(8), UNTIED, np.array([9.0, 0.1, 0.1, 0.1, 5.0, 0, 1, 1])])
@pytest.mark.parametrize("alpha", [0.05, 0.3])
def test_chance_of_ever_deciding_is_held_exactly(sizes, alpha):
    """All 256 patterns of signs of eight differences: as many decide as are allowed, less what ties leave over."""
    share = share_that_decides(sizes, 8, alpha)
    assert share <= alpha
    if len(set(sizes)) == 8:  # no ties: what is allowed is used up
        assert share >= alpha - 2 / 256


def test_one_look_is_the_sign_flip_test():
    differences = np.array([0.3, -0.1, 0.8, 0.5, 0.2, -0.05])
    (first,) = sequential_sign_flips(np.array([2.0]), 1, rng=RNG(0))
    assert first.p == sign_flip_test(np.array([2.0]), rng=RNG(0)).p
    looks = sequential_sign_flips(differences, 6, rng=RNG(0), alpha=1e-9)  # nothing is rejected before the end
    assert looks[-1].p == pytest.approx(sign_flip_test(differences, rng=RNG(0)).p)


def test_worked_by_hand():
    """Equal differences: at look 8 of 15 the allowed share is 0.0142 of 256 patterns, 3; only all-alike reach 8."""
    looks = sequential_sign_flips(np.array([1.0] * 6 + [-1.0] + [1.0] * 5), 15, rng=RNG(0))
    assert [math.isinf(look.limit) for look in looks[:8]] == [True] * 7 + [False]
    assert looks[7].limit == 1.0
    assert looks[7].p == pytest.approx(18 / 256)  # 2 patterns alike, 16 with one that differs
    assert allowed_share(15, 15) == pytest.approx(0.05)
    assert looks[-1].decides
    assert looks[-1].mean > 0


def test_decision_follows_from_the_limit():
    rng = RNG(1)
    for shift in (0.0, 0.5, 1.0):
        for _ in range(20):
            for look in sequential_sign_flips(rng.normal(shift, size=12), 12, rng=rng):
                assert look.decides == (abs(look.mean) >= look.limit - 1e-12)


def test_sampled_patterns_agree_with_all_of_them():
    differences = RNG(3).normal(0.4, size=MAX_EXACT)
    exact = sequential_sign_flips(differences, MAX_EXACT, rng=RNG(0), alpha=1e-6)
    sampled = sequential_sign_flips(differences, MAX_EXACT + 1, rng=RNG(0), alpha=1e-6)
    assert [look.p for look in exact] == pytest.approx([look.p for look in sampled], abs=0.006)


def test_false_alarms_and_fewer_pairs_when_there_is_something_to_find():
    """300 draws each; `benchmarks/sequential.py` has the full simulation."""
    rng = RNG(0)
    ends = {
        shift: [sequential_sign_flips(rng.normal(shift, size=12), 12, rng=rng)[-1] for _ in range(300)]
        for shift in (0, 2)
    }
    assert np.mean([look.decides for look in ends[0]]) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 300)
    assert all(look.decides for look in ends[2])
    assert np.mean([look.n for look in ends[2]]) < 8


def test_refusals():
    with pytest.raises(ValueError, match="n_max = 2 was set before"):
        sequential_sign_flips(np.ones(3), 2, rng=RNG(0))
    with pytest.raises(ValueError, match="finite"):
        sequential_sign_flips(np.array([1.0, np.nan]), 2, rng=RNG(0))
