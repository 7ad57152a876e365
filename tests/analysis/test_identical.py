import numpy as np

from stabilimeter.analysis.identical import copies
from stabilimeter.analysis.roles import roles_in


def copies_in(*runs):
    return copies(runs, roles_in(runs))


def test_copies_are_found_whatever_their_times(build):
    time = {"time/step_s": build.points(np.random.default_rng(0).random(1000))}
    repeated = build._run(3, None, build.foreign().status, (), (), {**build.foreign(1)._scalars, **time})
    assert copies_in(build.foreign(0), build.foreign(1), build.foreign(2), repeated) == {3: 1}


def test_one_bit_of_difference_is_enough(build):
    values = build.loss(1)
    values[500] = np.nextafter(values[500], 9)
    assert copies_in(build.foreign(1), build.foreign(1, loss=build.points(values))) == {}


def test_three_of_a_kind_point_to_the_first(build):
    assert copies_in(build.foreign(1), build.foreign(1), build.foreign(1)) == {1: 0, 2: 0}


def test_runs_that_died_alike_are_not_copies(build):
    nans = {"loss": build.points([2.3, np.nan, np.nan, np.nan]), "val_loss": None}
    assert copies_in(build.foreign(0, **nans), build.foreign(1, **nans)) == {}
    constant = {"loss": build.points(np.full(100, 2.3)), "val_loss": None}
    assert copies_in(build.foreign(0, **constant), build.foreign(1, **constant)) == {}


def test_a_copy_that_goes_nan_is_a_copy(build):
    values = build.loss(1)
    values[700:] = np.nan
    run = build.foreign(1, loss=build.points(values))
    assert copies_in(run, run) == {1: 0}


def test_runs_without_anything_are_not_copies(build):
    assert copies_in(build.log({}), build.log({})) == {}
