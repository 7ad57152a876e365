import numpy as np
import pytest

from stabilimeter.stats.training_dynamics import begun, evaluated


def test_the_fold_is_the_definition():
    rng = np.random.default_rng(0)
    probability = 0.999 + 0.001 * rng.random((7, 40))  # far from 0: sums of squares would lose digits
    correct = rng.random((7, 40)) < 0.6
    dynamics = begun(40)
    for one, right in zip(probability, correct, strict=True):
        dynamics = evaluated(dynamics, one, right)
    np.testing.assert_allclose(dynamics.confidence, probability.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(dynamics.variability, probability.std(axis=0), rtol=1e-9)
    np.testing.assert_allclose(dynamics.correctness, correct.mean(axis=0))


def test_other_examples_are_refused():
    with pytest.raises(ValueError, match="one value for each of 3 examples"):
        evaluated(begun(3), np.ones(4), np.ones(4, dtype=bool))
