import itertools

import numpy as np
import pytest

from stabilimeter.stats.best_of import expected_best


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize(("mode", "best"), [("max", max), ("min", min)])
def test_is_the_mean_over_all_draws(k, mode, best):
    values = [0.80, 0.82, 0.79, 0.85, 0.82]
    every = [best(draw) for draw in itertools.product(values, repeat=k)]
    assert expected_best(np.array(values), k, mode) == pytest.approx(np.mean(every))


def test_one_run_is_the_mean_and_many_are_the_best():
    values = np.array([0.5, 0.9, 0.7])
    assert expected_best(values, 1, "max") == pytest.approx(values.mean())
    assert expected_best(values, 10_000, "max") == pytest.approx(0.9)
    assert expected_best(values, 10_000, "min") == pytest.approx(0.5)
    assert expected_best(-values, 3, "min") == pytest.approx(-expected_best(values, 3, "max"))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="finite"):
        expected_best(np.array([1.0, np.nan]), 1, "max")
    with pytest.raises(ValueError, match="k must be"):
        expected_best(np.array([1.0]), 0, "max")
    with pytest.raises(ValueError, match="mode"):
        expected_best(np.array([1.0]), 1, "best")
