import weakref
from types import SimpleNamespace

from stabilimeter.callbacks.guard.way_back import HealthyStates


def state(step):
    return SimpleNamespace(step=step)


def followed(states, *steps):
    """A snapshot at each step, and no trouble."""
    for step in steps:
        states.end_trial(step)
        states.begin_trial(state(step))
    return states


def test_a_snapshot_counts_once_an_interval_has_followed():
    states = followed(HealthyStates(state(0), 4), 10)
    assert states.last.step == 0
    assert followed(states, 20).last.step == 10


def test_trouble_in_that_interval_ends_the_trial():
    states = followed(HealthyStates(state(0), 4), 10, 20)
    states.doubt(23)
    states.end_trial(30)
    assert states.last.step == 10
    assert followed(states, 30, 40).last.step == 30


def test_what_had_not_proved_healthy_before_the_onset_is_let_go():
    def after(onset):
        states = followed(HealthyStates(state(0), 10), 10, 20, 30, 40, 50)
        states.doubt(onset)
        return states.last.step

    assert [after(onset) for onset in (55, 50, 49, 40, 31, 30, 20, 19, 0)] == [40, 40, 30, 30, 20, 20, 10, 0, 0]


def test_a_doubt_is_for_good():
    states = followed(HealthyStates(state(0), 10), 10, 20, 30, 40)
    states.doubt(22)
    states.end_trial(50)
    assert states.last.step == 10


def test_trouble_older_than_every_snapshot_leaves_nowhere_to_go():
    states = followed(HealthyStates(state(0), 3), 10, 20, 30, 40)
    states.doubt(29)
    assert states.last is None
    assert followed(states, 50, 60).last.step == 50


def test_no_more_snapshots_are_kept_than_asked_for():
    class State:
        def __init__(self, step):
            self.step = step

    states, alive = HealthyStates(State(0), 3), []
    for step in range(10, 100, 10):
        states.end_trial(step)
        assert sum(ref() is not None for ref in alive) <= 2  # room for the next
        snapshot = State(step)
        alive.append(weakref.ref(snapshot))
        states.begin_trial(snapshot)
        del snapshot
    assert sum(ref() is not None for ref in alive) == 3
