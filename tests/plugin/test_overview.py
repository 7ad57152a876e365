from pathlib import Path

import pytest
from tests.present.conftest import Build

from stabilimeter.records.manifest import RunStatus
from stabilimeter.records.run import Run
from stabilimeter.records.sweep import RunGroup, Sweep
from stabilimeter.tensorboard_plugin.overview import answer
from stabilimeter.tensorboard_plugin.snapshot import Snapshot


@pytest.fixture
def build():
    return Build()


def empty(run):
    return Run(Path("logs") / run.path, str(run.seed), run.seed, None, RunStatus(run.status))


def overview(build, *groups):
    sweep = Sweep(
        Path("logs"), tuple(RunGroup(group.key, group.label, tuple(map(empty, group.runs))) for group in groups)
    )
    judged = frozenset(group.label for group in groups)
    return answer(Snapshot(1, sweep, build.summary(*groups), judged), {})


def headline(build, *groups):
    return [sentence["text"] for sentence in overview(build, *groups)["headline"]]


def test_the_headline_names_failures_before_all_else(build):
    good, bad = build.group("lr=0.1"), build.failed("lr=1.0", n=5, n_failed=2)
    assert headline(build, good, bad) == [
        "Failed: 2 of 5 seeds of lr=1.0.",
        "No seed failed: lr=0.1.",
        "Most stable: lr=0.1, 88.2 of 100. Least: lr=1.0, 36.0.",
    ]


def test_one_group_is_not_ranked(build):
    assert headline(build, build.group("lr=0.1")) == ["No seed failed: lr=0.1."]


def test_a_group_that_leads_only_because_others_lack_a_part_is_not_called_least(build):
    full = build.group("full", stability=build.stability(80.0))
    partial = build.group("partial", stability=build.stability(99.0, not_measured=("spikes",)))
    assert headline(build, full, partial) == ["No seed failed: full, partial."]
    scores = {group["label"]: group["score_text"] for group in overview(build, full, partial)["groups"]}
    assert scores == {"full": "80.0", "partial": "99.0*"}


def test_seeds_still_running_are_said(build):
    runs = tuple(build.run(seed, status="running" if seed == 4 else "completed") for seed in range(5))
    group = build.group(runs=runs, n_running=1)
    assert headline(build, group)[-1] == "1 seed still running: figures will change."
    (row,) = overview(build, group)["groups"]
    assert [seed["state"] for seed in row["seeds"]] == ["ok"] * 4 + ["running"]
    assert row["seeds_text"] == "4 of 4, 1 running"


def test_many_groups_are_counted(build):
    groups = [build.group(f"lr={number}") for number in range(6)]
    assert headline(build, *groups)[0] == "No seed failed: lr=0, lr=1, lr=2 and 3 more."


def test_what_was_not_measured_is_not_zero_points(build):
    lost = {"failures": 0.0, "spikes": 0.0, "noise": 4.0, "regression": 3.0, "seed_spread": 1.0}
    group = build.group(stability=build.stability(92.0, points_lost=lost, not_measured=("spikes",)))
    (row,) = overview(build, group)["groups"]
    assert [part["text"] for part in row["points_lost"]] == ["0.0", "not measured", "4.0", "3.0", "1.0"]
