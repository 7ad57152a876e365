import random
from pathlib import Path

import numpy as np

from stabilimeter.experiments.seeded_generators import seeded_generators


def draws():
    return [
        *(float(np.random.default_rng().random()) for _ in range(2)),
        float(np.random.RandomState().rand()),
        random.Random().random(),
    ]


def test_generators_without_a_seed_repeat_and_are_named():
    found = []
    for _ in range(2):
        with seeded_generators(7) as places:
            found.append(draws())
    assert found[0] == found[1]
    assert len(set(found[0])) == 4
    assert {Path(place.rpartition(":")[0]).name for place in places} == {"test_seeded_generators.py"}
    assert len(places) == 3


def test_a_given_seed_is_respected_and_everything_is_put_back():
    expected = np.random.default_rng(3).random()
    with seeded_generators(7) as places:
        assert np.random.default_rng(3).random() == expected
        assert np.random.default_rng(seed=3).random() == expected
    assert places == []
    assert draws() != draws()
