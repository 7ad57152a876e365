import numpy as np
import pytest

from stabilimeter.records.points import points_in_order


def test_what_was_logged_last_counts_in_any_order(rng):
    for width in ((), (3,)):
        steps = rng.integers(0, 300, 1000)
        values = rng.integers(0, 2, (1000, *width)).astype(float)
        values[rng.random(1000) < 0.2] = np.nan
        last: dict[int, str] = {}
        replaced = 0
        for step, value in zip(steps.tolist(), values.tolist(), strict=True):
            replaced += step in last and last[step] != str(value)
            last[step] = str(value)
        points, count = points_in_order(steps, values)
        assert points.steps.tolist() == sorted(last)
        assert [str(value) for value in points.values.tolist()] == [last[step] for step in sorted(last)]
        assert count == replaced


def test_points_in_order_are_taken_as_they_are():
    steps, values = np.array([1, 2, 5]), np.array([1.0, np.nan, 3.0], np.float32)
    points, replaced = points_in_order(steps, values)
    assert points.steps is steps
    assert points.values is values
    assert replaced == 0


@pytest.mark.parametrize("width", [(), (2,)])
def test_steps_out_of_order_of_which_none_occurs_twice(width):
    values = np.arange(3.0).reshape(3, *(1 for _ in width)) + np.zeros(width)
    points, replaced = points_in_order(np.array([5, 9, 3]), values)
    assert points.steps.tolist() == [3, 5, 9]
    assert points.values.reshape(3, -1)[:, 0].tolist() == [2.0, 0.0, 1.0]
    assert replaced == 0
