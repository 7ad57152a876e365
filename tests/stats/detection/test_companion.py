"""A gradient norm beside a loss: what both show is found earlier, what one shows is not made up."""

import json
import math
import pickle

import numpy as np
import pytest

from stabilimeter.stats.detection import detect, finish, from_plain, onward, plain, start, step
from stabilimeter.stats.detection.companion import Companion, followed
from stabilimeter.stats.detection.setback import Setback, Support
from stabilimeter.stats.detection.setback import followed as setback_followed

TURNS_AT = 300


def noises(seed: int, correlation: float = 0.2, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """A loss with noise 0.1 around 2 and a gradient norm with 20 % around 1."""
    one, other = np.random.default_rng(seed).standard_normal((2, n))
    both = correlation * one + math.sqrt(1 - correlation**2) * other
    return 2.0 + 0.1 * one, np.exp(0.2 * both)


def known_at(losses, norms=None) -> list[int]:
    """Where something was first told while it was going on."""
    state, found, before = start(), [], False
    for at, loss in enumerate(losses):
        state, _ = step(state, at, float(loss), None if norms is None else float(norms[at]))
        now = finish(state) is not None
        if now and not before:
            found.append(at)
        before = now
    return found


def test_a_turn_that_both_show_is_known_earlier():
    alone, together = [], []
    for seed in (*range(7), *range(8, 15)):
        losses, norms = noises(seed)
        assert known_at(losses, norms) == []
        losses[TURNS_AT:] += 0.15
        norms[TURNS_AT:] *= math.exp(0.4)
        alone.append(known_at(losses)[-1] - TURNS_AT)
        together.append(known_at(losses, norms)[-1] - TURNS_AT)
    assert np.mean(together) < np.mean(alone) - 1.0
    assert min(together) >= 0


@pytest.mark.parametrize("seed", range(7))
def test_a_norm_that_grows_alone_is_no_incident_of_the_loss(seed):
    losses, norms = noises(seed)
    norms[TURNS_AT:] *= 2.0
    assert detect(range(400), losses, beside=norms) == []


@pytest.mark.parametrize("seed", range(4))
def test_a_turn_that_only_the_loss_shows_is_found(seed):
    losses, norms = noises(seed)
    losses[TURNS_AT:] += 0.25
    assert TURNS_AT < known_at(losses, norms)[0] < TURNS_AT + 15


def test_the_weight_is_that_of_the_linear_discriminant():
    """The direction that separates a rise of (1, 0.7) best under the covariance of the two, at unit variance."""
    covariance = np.array([[1.0, 0.3], [0.3, 1.0]])
    direction = np.linalg.solve(covariance, [1.0, 0.7])
    direction /= math.sqrt(direction @ covariance @ direction)
    assert Support(1.4, 0.3).with_own(0.6) == pytest.approx(direction @ [0.6, 1.4])


def test_what_a_norm_adds_is_limited():
    assert Support(2.0, 0.9).with_own(1.3) == pytest.approx(1.3)  # it repeats the loss
    assert Support(2.4, 0.3).with_own(0.6) == Support(1.5, 0.3).with_own(0.6)
    assert Support(1.4, 0.3).with_own(-0.1) == -0.1  # the loss does not rise


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95])
def test_the_correlation_is_learnt(correlation):
    losses, norms = noises(0, correlation, n=3000)
    series, companion, learnt = Setback(), Companion(), []
    for at, (loss, norm) in enumerate(zip(losses.tolist(), norms.tolist(), strict=True)):
        companion, support = followed(companion, norm, series, loss)
        series = setback_followed(series, at, loss, math.inf)
        learnt += [] if support is None else [support.correlation]
    assert learnt[0] == 0.5
    assert np.mean(learnt[500:]) == pytest.approx(correlation, abs=0.1)


@pytest.mark.parametrize("norm", [None, math.nan, math.inf, 0.0, -1.0])
def test_a_norm_that_is_no_magnitude_is_as_good_as_none(norm):
    losses, _ = noises(1)
    losses[TURNS_AT:] += 0.25
    assert known_at(losses, [norm] * 400 if norm is not None else None) == known_at(losses)


@pytest.mark.parametrize("length", [8, 50, 400])
def test_turns_are_known_in_blocks_where_they_are_known_value_by_value(length):
    """And where the companion fails for a while, in the turn or before."""
    known = 0
    for seed in range(24):
        losses, norms = noises(seed)
        losses[TURNS_AT:] += 0.05 * (seed % 4)
        norms[TURNS_AT:] *= math.exp(0.4)
        beside = norms.tolist()
        gap = (slice(0, 0), slice(100, 155), slice(303, 308))[seed % 3]
        beside[gap] = [None] * len(beside[gap])
        one, many, at, values = start(), start(), 0, losses.tolist()
        while at < 400:
            first, end = at, min(at - at % length + length, 400)
            many, ended, at = onward(many, range(end), values[:end], at, beside[:end])
            for place in range(first, at):
                one, also_ended = step(one, place, values[place], beside[place])
            assert (many, ended) == (one, also_ended)
            known += many.slow.setback.alarmed
    assert known > 20


def test_interrupted_equals_uninterrupted():
    losses, norms = noises(2)
    losses[TURNS_AT:] += 0.2
    whole = detect(range(400), losses, beside=norms)
    assert len(whole) == 1
    for cut in range(0, 400, 37):
        state, incidents = start(), []
        for at in range(400):
            if at == cut:
                state = from_plain(json.loads(json.dumps(pickle.loads(pickle.dumps(plain(state))))))
            state, ended = step(state, at, losses[at], norms[at])
            incidents += [] if ended is None else [ended]
        assert [*incidents, finish(state)] == whole


def test_each_value_needs_its_companion():
    with pytest.raises(ValueError):
        detect(range(3), [1.0, 2.0, 3.0], beside=[1.0, 2.0])
