"""Judging a block at once is judging it value by value, to the last bit."""

import json
import math

import numpy as np
import pytest

from stabilimeter.stats.detection import from_plain, onward, plain, start, step
from stabilimeter.stats.detection.calm_stretch import passed
from stabilimeter.stats.incident import Kind

N = 900


def noise(kind: str, rng: np.random.Generator) -> np.ndarray:
    steps = np.arange(N)
    return {
        "gaussian": lambda: rng.standard_normal(N),
        "heavy": lambda: rng.standard_t(3, N),
        "skewed": lambda: rng.lognormal(0.0, 1.0, N),
        "wandering": lambda: np.cumsum(rng.standard_normal(N)),
        "coarse": lambda: np.round(rng.standard_normal(N)),
        "constant": lambda: np.zeros(N),
        "slow rise": lambda: rng.standard_normal(N) + np.maximum(steps - 300, 0) / 10 - np.maximum(steps - 700, 0) / 2,
        "growing": lambda: rng.standard_normal(N) * 1.01**steps + 0.3 * (1.012**steps - 1),
    }[kind]()


NOISES = ("gaussian", "heavy", "skewed", "wandering", "coarse", "constant", "slow rise", "growing")


def edited(series: np.ndarray, rng: np.random.Generator, count: int) -> list[float]:
    """Spikes, gaps, jumps, excursions, runaways, freezes and zeros at random places."""
    for at, what in zip(rng.integers(0, N, count), rng.integers(0, 7, count), strict=True):
        match what:
            case 0:
                series[at] += rng.choice([1.0, 50.0, 1e9])
            case 1:
                series[at : at + rng.integers(1, 5)] = rng.choice([math.nan, math.inf, -math.inf])
            case 2:
                series[at:] += rng.normal()
            case 3:
                series[at : at + rng.integers(2, 200)] += 3.0
            case 4:
                series[at:] = series[at:] * 1.03 ** np.arange(N - at)
            case 5:
                series[at:] = series[at]
            case 6:
                series[at : at + 3] = rng.choice([0.0, -1.0])
    return series.tolist()


def beside(values: list[float], rng: np.random.Generator) -> list[float | None]:
    """A magnitude that moves with the series or not, with ties, jumps, and stretches in which it is none or missing."""
    level = np.nan_to_num(np.array(values), nan=0.0, posinf=0.0, neginf=0.0)
    sizes = (
        rng.choice([0.0, 0.3]) * np.clip(level, -9.0, 9.0)
        + 0.2 * rng.standard_normal(N)
        + rng.choice([0, 2]) * (np.arange(N) > rng.integers(N))
    )
    found: list[float | None] = np.exp(np.round(sizes, rng.choice([1, 9]))).tolist()
    for at, what in zip(rng.integers(0, N, 6), rng.integers(0, 3, 6), strict=True):
        end = min(at + int(rng.choice([1, 30, 200])), N)
        found[at:end] = [(None, math.nan, 0.0)[what]] * (end - at)
    for at in range(0, N, 2) if rng.random() < 0.2 else ():
        found[at] = None
    return found


def one_by_one(values, state, others=None):
    """The state and the incidents after each value."""
    states, incidents = [state], [[]]
    for at, value in enumerate(values):
        state, ended = step(state, 3 * at, value, None if others is None else others[at])
        states.append(state)
        incidents.append(incidents[-1] if ended is None else [*incidents[-1], ended])
    return states, incidents


def in_blocks(values, state, length, others=None):
    """How many values are done, the state and the incidents, wherever `onward` stops; taken up anew at each block."""
    found = []
    for first in range(0, len(values), length):
        state = from_plain(json.loads(json.dumps(plain(state))))
        block = values[first : first + length]
        beside = None if others is None else others[first : first + length]
        steps = [3 * (first + i) for i in range(len(block))]
        at = 0
        while at < len(block):
            state, ended, at = onward(state, steps, block, at, beside)
            found += [] if ended is None else [ended]
            yield first + at, state, list(found)


def numbers(item):
    """Everything in a nest of dictionaries and lists."""
    if isinstance(item, dict | list):
        return [number for part in (item.values() if isinstance(item, dict) else item) for number in numbers(part)]
    return [item]


def same_state(one, other) -> bool:
    pairs = zip(numbers(plain(one)), numbers(plain(other)), strict=True)
    return all(a == b or (a != a and b != b) for a, b in pairs)


SETTINGS = [("min", False), ("min", True), ("max", False), ("both", True), ("both", False), ("max", True)]


@pytest.mark.parametrize("accompanied", [False, True])
def test_blocks_equal_single_values(accompanied):
    rng = np.random.default_rng(0)
    kinds = set()
    for i, kind in enumerate(NOISES * 3):
        descent = rng.choice([0.0, 8.0]) * np.exp(-np.arange(N) / rng.choice([5.0, 50.0, 500.0]))
        values = edited(2.0 + rng.choice([0.01, 0.1]) * noise(kind, rng) + descent, rng, i // len(NOISES) * 3)
        mode, positive = SETTINGS[i % len(SETTINGS) if not accompanied else (0, 2)[i % 2]]
        others = beside(values, rng) if accompanied else None
        state = start(mode=mode, positive=positive, key="k")
        states, incidents = one_by_one(values, state, others)
        for length in (3, 50, int(rng.integers(2, N)), N):
            for count, after, found in in_blocks(values, state, length, others):
                if count % 31 == 0 or count == N:
                    assert same_state(after, states[count]), (kind, mode, positive, length, count)
                    assert repr(found) == repr(incidents[count])
        kinds |= {incident.kind for incident in incidents[-1]}
    assert kinds == {Kind.NONFINITE, Kind.SPIKE, Kind.EXCURSION, Kind.SHIFT, Kind.DIVERGENCE, Kind.COLLAPSE}


def test_ordinary_values_pass_together():
    """From the sixteenth residual on; an open incident and a value that opens one are left alone."""
    values = np.random.default_rng(0).normal(2.0, 0.05, 1000).tolist()
    steps = list(range(1000))
    young, _ = passed(start(), steps, values, 0, rarest=5e-5)
    assert young == start()
    state = start()
    for at in range(17):
        state, _ = step(state, at, values[at])
    after, at = passed(state, steps, values, 17, rarest=5e-5)
    assert (at, after.window.seen, after.calm) == (1000, 999, 1000)
    values[500] = 50.0
    after, at = passed(state, steps, values, 17, rarest=5e-5)
    assert (at, after.flagged) == (500, False)
    opened, _ = step(after, 500, values[500])
    assert passed(opened, steps, values, 501, rarest=5e-5) == (opened, 501)


@pytest.mark.parametrize("alarm_rate", [1e-2, 1e-6])
@pytest.mark.parametrize("mode", ["min", "both"])
def test_the_alarm_rate_counts(alarm_rate, mode):
    values = np.random.default_rng(1).standard_t(3, N).tolist()
    state = start(mode=mode, alarm_rate=alarm_rate)
    states, incidents = one_by_one(values, state)
    *_, (_, after, found) = in_blocks(values, state, N)
    assert same_state(after, states[-1])
    assert repr(found) == repr(incidents[-1])
    assert (len(found) > 3) == (alarm_rate > 1e-3)


def test_step_and_value_go_together_in_blocks():
    incidents = [found for _, _, found in in_blocks([2.0, 2.1, 1.9] * 30 + [9.0] + [2.0] * 9, start(), 50)][-1]
    assert [(incident.step, incident.value) for incident in incidents] == [(3 * 90, 9.0)]
