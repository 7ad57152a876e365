"""Random generators that a program makes without a seed, given one, and named."""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np


@contextmanager
def seeded_generators(seed: int) -> Iterator[list[str]]:
    """Gives a seed to ``numpy.random.default_rng()``, ``RandomState()`` and ``random.Random()`` where none is given.

    Only for finding out: what was imported by name before this begins keeps making generators of its own.

    Args:
        seed: The seed of the first of them; the others follow.

    Yields:
        Where such generators were made, as ``file:line``, each place once; it grows.
    """
    places: list[str] = []
    made = iter(range(seed, 2**32))
    make_generator = np.random.default_rng

    def next_seed() -> int:
        frame = sys._getframe(2)  # who asked for a generator
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if place not in places:
            places.append(place)
        return next(made)

    def default_rng(seed: Any = None) -> np.random.Generator:
        return make_generator(next_seed() if seed is None else seed)

    class SeededState(np.random.RandomState):
        def __init__(self, seed: Any = None) -> None:
            super().__init__(next_seed() if seed is None else seed)

    class SeededRandom(random.Random):
        def __init__(self, x: Any = None) -> None:
            super().__init__(next_seed() if x is None else x)

    with (
        patch.object(np.random, "default_rng", default_rng),
        patch.object(np.random, "RandomState", SeededState),
        patch.object(random, "Random", SeededRandom),
    ):
        yield places
