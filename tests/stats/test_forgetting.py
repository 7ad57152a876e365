import numpy as np
import pytest

from stabilimeter.stats.forgetting import begun, forgetting, seen

# one column per example: always right, never right, learned late, forgotten twice, forgotten and won back
OUTCOMES = np.array(
    [
        [1, 0, 0, 1, 1],
        [1, 0, 0, 0, 0],
        [1, 0, 1, 1, 0],
        [1, 0, 1, 0, 1],
    ],
    dtype=bool,
)


def test_by_hand():
    history = forgetting(OUTCOMES)
    assert history.events.tolist() == [0, 0, 0, 2, 1]
    assert history.never_learned == 1
    assert history.forgotten == 1  # the fourth: right before, wrong at the end
    assert history.unforgettable == 2  # the first and the third


def test_events_are_falls_from_right_to_wrong_between_neighbours():
    outcomes = np.random.default_rng(0).random((30, 200)) < 0.6
    falls = (np.diff(outcomes.astype(int), axis=0) == -1).sum(axis=0)
    np.testing.assert_array_equal(forgetting(outcomes).events, falls)


def test_online_is_the_fold_of_offline():
    history = begun(OUTCOMES[0])
    for row in OUTCOMES[1:]:
        history = seen(history, row)
    for one, other in zip(history, forgetting(OUTCOMES), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_history_of_before_is_left_alone():
    before = begun(OUTCOMES[0])
    seen(before, OUTCOMES[1])
    assert before.events.tolist() == [0] * 5
    assert before.learned.tolist() == OUTCOMES[0].tolist()


def test_other_examples_are_refused():
    with pytest.raises(ValueError, match="5 examples"):
        seen(begun(OUTCOMES[0]), np.ones(4, bool))
