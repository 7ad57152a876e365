"""Judged checkpoints in the tab, against lines as the callback leaves them."""

import pytest
from tests.plugin.conftest import Tab, write_run
from tests.plugin.judged_run import write_judged


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("judged")
    write_judged(folder)
    tab = Tab(folder)
    assert tab.wait()["error"] is None
    return tab


def test_the_seed_with_judged_checkpoints_is_shown(tab):
    answer = tab.get("checkpoints", group="g")
    assert [one["path"] for one in answer["judged"]] == ["g/seed=1"]
    assert answer["run"] == "g/seed=1"
    assert tab.get("checkpoints", group="g", run="g/seed=0")["run"] == "g/seed=1"


def test_values_verdicts_and_the_noise_around_the_best_before(tab):
    course = tab.get("checkpoints", group="g")["course"]
    assert course["steps"] == [0, 20, 40, 60, 80]
    assert course["values"] == [0.8, 0.9, 0.91, 0.6, None]
    assert course["verdicts"] == [None, "better", "same", "worse", None]
    assert course["best"][3] == 0.91
    assert course["low"][3] == pytest.approx(0.91 - 2 * 0.01)
    assert course["high"][3] == pytest.approx(0.91 + 2 * 0.01)
    assert (course["n_judged"], course["n_worse"]) == (3, 1)
    assert course["words"][3] == (
        "worse than the best before, of step 40 (by 0.310, p = 0.0040); of 100 examples 33 got lost and 3 were won"
    )
    assert course["words"][4].endswith("val/acc is nan")


def test_flips_slices_and_checkpoints(tab):
    course = tab.get("checkpoints", group="g")["course"]
    assert course["flips"]["lost"] == [0, 0, 0, 33, 0]
    assert course["flips"]["n"] == 100
    night, day = course["slices"]
    assert (night["name"], night["n_worse"], night["lost"], night["value"]) == ("<b>night", 1, 30, "0.4000")
    assert night["verdicts"] == [None, None, None, "worse", None]
    assert (day["name"], day["n_worse"]) == ("day", 0)
    assert course["last_healthy"] == {"step": 40, "path": "checkpoints/good.ckpt"}
    assert (course["ship"]["step"], course["ship"]["path"]) == (40, "checkpoints/good.ckpt")
    assert [one["unhealthy"] for one in course["saved"]] == ["", "head.weight is nan"]


def test_without_judged_checkpoints_there_is_nothing_of_them(tmp_path):
    write_run(tmp_path, "g", 0)
    tab = Tab(tmp_path)
    tab.wait()
    answer = tab.get("checkpoints", group="g")
    assert (answer["judged"], answer["run"], answer["course"]) == ([], None, None)
