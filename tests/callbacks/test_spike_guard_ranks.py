"""Two processes: a spike on rank 1 only must lead both to the same decision, and to the weights of one process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("guarded_ranks.py")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    out = tmp_path_factory.mktemp("ranks")
    environment = {name: value for name, value in os.environ.items() if name not in ("LOCAL_RANK", "WORLD_SIZE")}
    done = subprocess.run(
        [sys.executable, SCRIPT, out],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**environment, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [torch.load(out / f"{rank}.pt") for rank in (0, 1)]


def same(one, other):
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("action", ["warn", "skip", "rollback", "stop"])
def test_both_ranks_decide_alike(ranks, action):
    first, second = (rank[action] for rank in ranks)
    assert [(key, step) for key, step, *_ in first["actions"]] == [(f"guard/{action}", 40)]
    assert first["actions"] == second["actions"]
    assert same(first["weights"], second["weights"])
    assert first["steps"] == second["steps"]
    assert first["reason"] == second["reason"]


def test_the_loss_of_the_worst_rank_is_judged_undiluted(ranks):
    value = ranks[0]["skip"]["actions"][0][2]
    assert value == pytest.approx(300.0**2, rel=0.01)  # their mean would be half of that


@pytest.mark.parametrize(
    ("guarded", "reference"),
    [("skip", "without 40"), ("rollback", "without 30 to 40"), ("stop", "until 40"), ("sharded", "sharded without")],
)
def test_the_run_is_the_one_without_the_bad_batches(ranks, guarded, reference):
    for rank in ranks:
        assert same(rank[guarded]["weights"], rank[reference]["weights"])
    assert not same(ranks[0]["warn"]["weights"], ranks[0]["without 40"]["weights"])


def test_a_rank_keeps_only_its_own_shards_and_keeps_them_on_the_host(ranks):
    parameters = 4 * 8 + 8 + 8 * 2 + 2
    steps = 4  # AdamW counts them per parameter
    held = [rank["sharded rollback"]["numel"] for rank in ranks]
    assert sum(held) == 3 * parameters + 2 * steps


def test_a_slow_turn_on_one_rank_takes_both_back_to_before_it(ranks):
    first, second = (rank["turn"] for rank in ranks)
    assert first["actions"] == second["actions"]
    key, step, _, evidence = first["actions"][0]
    assert (key, evidence["flagged"]) == ("guard/rollback", [])
    assert evidence["restored_step"] <= 120 <= evidence["onset_step"] < step
    for rank in ranks:
        assert same(rank["turn"]["weights"], rank["without the turn"]["weights"])
        assert rank["no turn"]["actions"] == []


@pytest.mark.parametrize(("sharded", "whole"), [("sharded", "skip"), ("sharded rollback", "rollback")])
def test_sharded_parameters_are_guarded_like_whole_ones(ranks, sharded, whole):
    for rank in ranks:
        assert [action[:2] for action in rank[sharded]["actions"]] == [action[:2] for action in rank[whole]["actions"]]
        norms = [rank[name]["actions"][0][3]["norm"] for name in (sharded, whole)]
        assert norms[0] == pytest.approx(norms[1], rel=1e-5)
        for a, b in zip(rank[sharded]["weights"], rank[whole]["weights"], strict=True):
            torch.testing.assert_close(a, b)


def test_samples_of_all_ranks_are_on_the_skip_list_and_not_drawn_again(ranks):
    first, second = (rank["skip list"] for rank in ranks)
    assert first["actions"] == second["actions"]
    skipped = set()
    for _, step, _, evidence in first["actions"]:
        drawn = first["seen"][step] + second["seen"][step]
        assert evidence["samples"] == sorted(drawn)
        skipped |= set(drawn)
    assert {321, 323, 325, 327} <= skipped  # the bad ones, wherever shuffling had put them
    for rank in (first, second):
        assert len(rank["seen"]) == 120
        assert not skipped & {index for batch in rank["seen"][60:] for index in batch}
