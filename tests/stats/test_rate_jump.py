import pytest

from stabilimeter.stats.rate_jump import RateJump, jump_behind, rate_jumps


def test_only_a_raise_by_half_or_more_in_one_step_is_a_jump():
    assert rate_jumps(range(5), [0.1, 0.1, 0.2, 0.01, 0.02]) == [RateJump(2, 0.1, 0.2), RateJump(4, 0.01, 0.02)]
    assert rate_jumps(range(5), [0.1, 0.11, 0.12, 0.13, 0.14]) == []
    assert rate_jumps(range(3), [0.1, 0.0, 0.1]) == [RateJump(2, 0.0, 0.1)]


def test_a_series_may_come_in_parts():
    assert rate_jumps([10], [0.4], previous=0.1) == [RateJump(10, 0.1, 0.4)]
    assert rate_jumps([10], [0.4]) == []


@pytest.mark.parametrize(("onset", "belongs"), [(94, False), (95, True), (100, True), (110, True), (111, False)])
def test_an_incident_belongs_to_the_jump_just_before(onset, belongs):
    jump = RateJump(100, 0.1, 1.0)
    assert (jump_behind([jump], onset) == jump) is belongs
    assert (jump_behind([jump._replace(step=1000)], 10 * onset, interval=10.0) is not None) is belongs


def test_of_two_the_later_one_counts():
    assert jump_behind([RateJump(100, 0.1, 1.0), RateJump(104, 1.0, 2.0)], 105).step == 104
    assert jump_behind([], 105) is None
