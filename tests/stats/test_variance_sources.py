import math

import numpy as np
import pytest

from stabilimeter.stats.variance_sources import (
    Variance,
    joint_variance,
    share_of,
    source_variance,
    sum_interval,
    sum_of,
)


def test_variance_of_a_source_by_hand():
    """Half the mean square of the changes: (9 + 1 + 4) / 3 / 2."""
    found = source_variance(np.array([3.0, -1.0, 2.0]))
    assert (found.value, found.freedom) == (pytest.approx(7 / 3), 3)
    assert found.sd == pytest.approx(math.sqrt(7 / 3))


@pytest.mark.parametrize(("n", "low", "high"), [(3, 0.52, 6.29), (5, 0.60, 2.87), (10, 0.69, 1.83), (20, 0.76, 1.46)])
def test_interval_of_a_standard_deviation_has_the_textbook_factors(n, low, high):
    assert Variance(1.0, n - 1).sd_interval() == pytest.approx((low, high), abs=0.006)


def test_additive_sources_add_up_to_the_joint_variance():
    """With y = 3 a + b: variances 9 and 1, joint 10, shares 90 % and 10 %."""
    rng = np.random.default_rng(0)
    n = 200_000
    a, b, other_a, other_b = rng.normal(size=(4, n))
    first = source_variance((3 * other_a + b) - (3 * a + b))
    second = source_variance((3 * a + other_b) - (3 * a + b))
    assert (first.value, second.value) == (pytest.approx(9, rel=0.02), pytest.approx(1, rel=0.02))
    joint = joint_variance(3 * a + b)
    assert sum_of({"a": first, "b": second}).value == pytest.approx(joint.value, rel=0.02)
    assert share_of(first, {"b": second}).value == pytest.approx(0.9, abs=0.01)


def test_sources_that_act_through_each_other_add_up_to_more():
    """y = a b: each alone has the whole variance 1, so that the sum is twice the joint variance."""
    rng = np.random.default_rng(0)
    a, b, other_a, other_b = rng.normal(size=(4, 200_000))
    parts = {"a": source_variance(other_a * b - a * b), "b": source_variance(a * other_b - a * b)}
    assert sum_of(parts).value == pytest.approx(2 * joint_variance(a * b).value, rel=0.05)


def test_intervals_cover():
    """A source, a share and the sum, 8 pairs each, in 1,000 draws; the standard error of a coverage is 0.7 %."""
    rng = np.random.default_rng(0)
    sds = {"a": 3.0, "b": 1.0, "c": 0.5}
    total = sum(sd**2 for sd in sds.values())
    covered = np.zeros(3)
    for _ in range(1000):
        parts = {name: source_variance(sd * math.sqrt(2) * rng.normal(size=8)) for name, sd in sds.items()}
        low, high = parts["b"].interval()
        share = share_of(parts["b"], {"a": parts["a"], "c": parts["c"]})
        below, above = sum_interval(parts)
        covered += [low <= 1.0 <= high, share.low <= 1.0 / total <= share.high, below <= total <= above]
    assert np.all(np.abs(covered / 1000 - 0.95) < 0.025), covered


def test_a_source_without_effect_is_zero_for_certain():
    nothing, something = source_variance(np.zeros(4)), source_variance(np.ones(4))
    assert share_of(nothing, {"other": something}).high == 0.0
    assert share_of(something, {"other": nothing}).low == 1.0
    assert math.isnan(share_of(nothing, {"other": nothing}).value)
    assert sum_of({"a": nothing, "b": nothing}).value == 0.0


def test_too_few():
    with pytest.raises(ValueError, match="at least 2 values"):
        joint_variance(np.array([1.0]))
    with pytest.raises(ValueError, match="at least 1 pair"):
        source_variance(np.array([]))
