import pytest

from stabilimeter.callbacks.guard.ladder import Budget, Ladder, Rung, Trouble, climbed


def answers(budget, steps, ladder=None, trouble=Trouble.LOSS, can_go_back=True):
    ladder, found = ladder or Ladder(), []
    for step in steps:
        ladder, rung = climbed(ladder, budget, step, trouble, can_go_back=can_go_back)
        found.append(rung.value)
    return found


@pytest.mark.parametrize(
    ("highest", "expected"),
    [
        ("warn", ["warn"] * 8),
        ("skip", ["skip", "skip", "warn", "warn", "warn", "warn", "warn", "warn"]),
        ("rollback", ["skip", "skip", "rollback", "skip", "skip", "warn", "warn", "warn"]),
        ("stop", ["skip", "skip", "rollback", "skip", "skip", "stop", "stop", "stop"]),
    ],
)
def test_the_ladder_is_climbed_as_far_as_allowed(highest, expected):
    assert answers(Budget(Rung(highest), 2, 1, 100), range(8)) == expected


def test_a_non_finite_step_is_never_let_through_beyond_warn():
    assert answers(Budget(Rung.SKIP, 1, 0, 100), range(4), trouble=Trouble.NONFINITE) == ["skip"] * 4
    assert answers(Budget(Rung.ROLLBACK, 1, 1, 100), range(5), trouble=Trouble.NONFINITE) == [
        "skip", "rollback", "skip", "skip", "skip"
    ]  # fmt: skip


def test_a_large_gradient_alone_never_leads_beyond_a_skip():
    assert answers(Budget(Rung.STOP, 2, 1, 100), range(5), trouble=Trouble.GRADIENT) == [
        "skip",
        "skip",
        "warn",
        "warn",
        "warn",
    ]
    assert answers(Budget(Rung.STOP, 0, 0, 100), [0], trouble=Trouble.NONFINITE) == ["stop"]


@pytest.mark.parametrize(
    ("highest", "expected"),
    [
        ("warn", ["warn"] * 3),
        ("skip", ["warn"] * 3),
        ("rollback", ["rollback", "warn", "warn"]),
        ("stop", ["rollback", "stop", "stop"]),
    ],
)
def test_a_slow_turn_is_not_skipped(highest, expected):
    budget = Budget(Rung(highest), 2, 1, 100)
    assert answers(budget, range(3), trouble=Trouble.TURN) == expected
    without_a_way_back = [rung if rung != "rollback" else expected[1] for rung in expected]
    assert answers(budget, range(3), trouble=Trouble.TURN, can_go_back=False) == without_a_way_back


def test_skips_are_forgotten_after_the_cooldown():
    budget = Budget(Rung.STOP, 2, 0, 100)
    assert answers(budget, [0, 50, 100, 150, 200]) == ["skip"] * 5
    assert answers(budget, [0, 50, 99]) == ["skip", "skip", "stop"]


def test_a_ladder_survives_a_checkpoint():
    ladder = Ladder((3, 7), (1, 2))
    assert Ladder.from_plain(ladder.plain()) == ladder
    budget = Budget(Rung.STOP, 3, 3, 100)
    assert answers(budget, [9, 10, 11], ladder) == ["skip", "rollback", "skip"]


def test_rollbacks_of_long_ago_do_not_add_up():
    budget = Budget(Rung.STOP, max_skips=5, max_rollbacks=2, cooldown_steps=100)
    assert answers(budget, range(0, 30_000, 5_000), trouble=Trouble.TURN) == ["rollback"] * 6
    assert answers(budget, [0, 4_999, 9_998], trouble=Trouble.TURN) == ["rollback", "rollback", "stop"]
