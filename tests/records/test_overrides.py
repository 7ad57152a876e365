import pytest

from stabilimeter.records.overrides import Overrides, parameters


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, Overrides((), None, chosen=False)),
        ({"seed": "3", "lr": 0.1}, Overrides(("lr=0.1",), 3, chosen=False)),
        ({"data.seed": 5, "seed": -1}, Overrides((), -1, chosen=False)),
        ({"trainer/random_seed": "0"}, Overrides((), 0, chosen=False)),
        ({"seed": "None", "b": 1, "a": 2}, Overrides(("a=2", "b=1"), None, chosen=False)),
        ({"model/save_dir": "x/1", "ckpt_path": "y", "seedling": 1}, Overrides(("seedling=1",), None, chosen=False)),
    ],
)
def test_the_seed_and_paths_are_no_settings_that_tell_groups_apart(settings, expected):
    assert parameters(settings) == expected
