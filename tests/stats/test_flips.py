import numpy as np
import pytest

from stabilimeter.stats.flips import Flips, flips


def test_equal_accuracy_hides_flips():
    old, new = np.array([1, 1, 1, 0, 0, 0], bool), np.array([0, 1, 1, 1, 0, 0], bool)
    found = flips(old, new)
    assert found == Flips(n=6, negative=1, positive=1)
    assert found.negative_rate == 1 / 6


def test_flips_the_other_way_round():
    rng = np.random.default_rng(0)
    old, new = rng.random(500) < 0.7, rng.random(500) < 0.8
    there, back = flips(old, new), flips(new, old)
    assert (there.negative, there.positive) == (back.positive, back.negative)
    assert there.positive - there.negative == new.sum() - old.sum()


def test_shapes_have_to_agree():
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        flips(np.zeros(2, bool), np.zeros(3, bool))
    with pytest.raises(ValueError, match=r"\(0,\)"):
        flips(np.zeros(0, bool), np.zeros(0, bool))
