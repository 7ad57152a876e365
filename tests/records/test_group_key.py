import pytest

from stabilimeter.records.group_key import group_key

CONFIG = {"seed": 0, "model": {"lr": 0.1, "layers": [8, 8]}, "trainer": {"default_root_dir": "a/seed=0", "steps": 5}}


def test_is_the_same_for_all_seeds_and_folders():
    other = {"trainer": {"steps": 5, "default_root_dir": "b/seed=1"}, "model": {"layers": [8, 8], "lr": 0.1}, "seed": 1}
    assert group_key(CONFIG) == group_key(other)


@pytest.mark.parametrize(
    "change", [{"model": {"lr": 0.2, "layers": [8, 8]}}, {"model": {"lr": 0.1, "layers": [8, 9]}}, {"extra": None}]
)
def test_tells_apart_whatever_else_differs(change):
    assert group_key({**CONFIG, **change}) != group_key(CONFIG)
