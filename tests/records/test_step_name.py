import pytest

from stabilimeter.records.step_name import step_name, whole_step


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["loss", "step"], "step"),
        (["epoch", "Step"], "Step"),
        (["epoch", "iter", "loss"], "iter"),
        ([" Global_Step ", "epoch"], " Global_Step "),
        (["loss", "time"], None),
        ([], None),
    ],
)
def test_the_preferred_name_counts(names, expected):
    assert step_name(names) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, 7),
        (-1, -1),
        ("9.0", 9),
        ("1e3", 1000),
        (2.0, 2),
        (2**53 + 1, 2**53 + 1),
        ("9007199254740993", 9007199254740993),
        (2.5, None),
        ("", None),
        ("x", None),
        (None, None),
        (True, None),
        ([1], None),
        (float("nan"), None),
        ("inf", None),
        (10**30, None),
        ("1e300", None),
    ],
)
def test_whole_numbers_that_fit_are_steps(value, expected):
    assert whole_step(value) == expected
