"""The memory of the detector does not grow with the series."""

import pickle

import numpy as np
import pytest

from stabilimeter.stats.detection import finish, onward, plain, start

STEPS, BLOCK = 1_000_000, 10_000


def sizes(values, norms=None, **settings):
    """Bytes of the pickled state after each 10,000 values, and how many incidents ended."""
    state, found, grown = start(**settings), 0, []
    for first in range(0, len(values), BLOCK):
        steps, block = range(first, first + BLOCK), values[first : first + BLOCK].tolist()
        beside, at = None if norms is None else norms[first : first + BLOCK].tolist(), 0
        while at < BLOCK:
            state, ended, at = onward(state, steps, block, at, beside)
            found += ended is not None
        grown.append(len(pickle.dumps((plain(state), finish(state)))))
    return np.array(grown), found


@pytest.mark.parametrize("positive", [None, True])
def test_a_million_values_take_no_more_memory_than_ten_thousand(positive):
    """Of medians of 16, 64, ... 4096 values 128 are remembered each: the last of these memories is full at 524,288."""
    grown, found = sizes(2.0 + 0.05 * np.random.default_rng(0).standard_normal(STEPS), positive=positive)
    assert found <= 1e-4 * STEPS
    full = 128 * 4096 // BLOCK + 1
    assert grown[full:].max() <= 1.02 * grown[:full].max()
    assert grown.max() < min(1.5 * grown[0], 20_000)


def test_a_second_signal_adds_little():
    one, other = np.random.default_rng(0).standard_normal((2, STEPS))
    alone, _ = sizes(2.0 + 0.05 * one)
    beside, _ = sizes(2.0 + 0.05 * one, np.exp(0.2 * other))
    assert beside.max() < min(alone.max() + 3_000, 20_000)


def test_incidents_leave_nothing_behind():
    rng = np.random.default_rng(1)
    values = 2.0 + 0.05 * rng.standard_normal(STEPS)
    values[rng.integers(0, STEPS, 300)] = 9.0
    values[rng.integers(0, STEPS, 50)] = np.nan
    for first in range(50_000, STEPS, 100_000):
        values[first:] += 1.0
    grown, found = sizes(values)
    assert found > 350
    assert grown.max() < 20_000
