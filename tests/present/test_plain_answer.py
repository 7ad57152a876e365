from dataclasses import replace

import pytest

from stabilimeter.analysis.first_movers import FailedSeed, Mover
from stabilimeter.present.plain_answer import group_answer, seed_in_words
from stabilimeter.stats.incident import Kind

GRAD = Mover("grad/norm", 296, 40.0, 1.0, from_start=False)
LOSS = Mover("train/loss", 310, 9.0, 2.0, from_start=False)


@pytest.fixture
def lost(build):
    """Seed 3 of a group, lost at step 310 after its gradient norm had risen."""

    def make(reason="nonfinite: train/loss is NaN from step 412", movers=(GRAD, LOSS), **changes):
        run = build.run(3, failed=True, failure_reason=reason, **changes.pop("run", {}))
        return replace(FailedSeed("lr=0.1", run, 310, movers, "lr=0.1", 4), **changes)

    return make


def test_how_many_trained_which_did_not_when_and_what_came_before(build, lost):
    group = build.group(n_failed=1)
    assert group_answer(group, [lost()]) == (
        "4 of 5 seeds trained; seed 3 diverged at step 310, its gradient norm rose 14 steps before."
    )


def test_a_group_that_trained_tells_its_score_and_where_most_points_went(build):
    assert group_answer(build.group(), []) == (
        "all 5 seeds trained; stability 88.2 of 100 (95 % interval 54 to 96); most was lost to loss noise (4.0 points)."
    )
    one = build.group(n=1, stability=build.stability(70.0, None, None, points_lost={}))
    assert group_answer(one, []) == "the only seed trained; stability 70.0 of 100."


def test_many_failed_seeds_are_counted(build, lost):
    failed = [lost(movers=()) for _ in range(5)]
    text = group_answer(build.group(n_failed=5), failed)
    assert text.startswith("none of 5 seeds trained; seed 3 diverged at step 310; seed 3")
    assert text.endswith("; 2 more failed.")


def test_a_group_that_still_runs(build):
    runs = tuple(build.run(seed, status="running") for seed in range(2))
    text = group_answer(build.group(n=2, runs=runs, n_running=2), [])
    assert text == "no seed has finished yet; 2 still running, so this may change."


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("collapsed: val/loss ends worse", "seed 3 got worse from step 310 on and did not recover"),
        ("no_progress: x", "seed 3 learned nothing"),
        ("exception: RuntimeError", "seed 3 crashed at step 310"),
        ("died: no heartbeat", "seed 3 died at step 310 without a word"),
        ("incomplete: 310 of 500", "seed 3 ended too early at step 310"),
        ("target_missed: 0.9", "seed 3 did not reach the target"),
        ("something new", "seed 3 failed at step 310"),
    ],
)
def test_every_reason_has_its_words(lost, reason, said):
    assert seed_in_words(lost(reason, movers=())) == said


def test_a_loss_that_turns_nan_at_once_did_not_diverge(build, lost):
    boom = build.incident(Kind.NONFINITE, step=310, value=float("nan"), end_step=999)
    assert seed_in_words(lost(movers=(), run={"incidents": (boom,)})) == "seed 3 became NaN or infinite at step 310"
    assert seed_in_words(lost(lost_at=None, movers=())) == "seed 3 became NaN or infinite"


def test_what_moved_later_or_belongs_to_the_loss_was_no_warning(lost):
    later = replace(GRAD, step=320)
    assert seed_in_words(lost(movers=(LOSS, later))) == "seed 3 diverged at step 310"
    assert seed_in_words(lost(movers=(replace(LOSS, step=300),))) == "seed 3 diverged at step 310"
    assert seed_in_words(lost(reference=None)) == "seed 3 diverged at step 310"


def test_what_was_wrong_from_the_start_counts_only_without_anything_that_began(lost):
    large = Mover("update/ratio", 0, 0.06, 0.0002, from_start=True)
    assert seed_in_words(lost(movers=(large, GRAD, LOSS))).endswith("its gradient norm rose 14 steps before")
    alone = seed_in_words(lost(movers=(large, LOSS)))
    assert alone.endswith("its update size relative to its weights was too large from the start")
    small = replace(large, value=0.00001)
    assert "was too small from the start" in seed_in_words(lost(movers=(small, LOSS)))
