import numpy as np
import pytest

from stabilimeter.callbacks.capture.block import Block
from stabilimeter.callbacks.recording.onlookers import Onlookers

KEYS = ["train/loss", "optim/lr", "update/norm", "activation/dead_fraction_max"]


def block(first, updates, *, rates=None, dead=None, stride=1, keys=KEYS):
    steps = np.arange(first, first + len(updates))
    rates = np.full(len(steps), 0.1) if rates is None else rates
    dead = np.full(len(steps), 0.25) if dead is None else dead
    values = np.stack([np.ones(len(steps)), rates, updates, dead], axis=1)
    measured = np.ones(values.shape, bool)
    measured[:, 2] = steps % stride == 0
    return Block(keys, steps, values, measured, steps.astype(float), [0] * len(steps), [0] * len(steps), {})


def noisy(count, seed=0):
    return np.exp(0.05 * np.random.default_rng(seed).normal(size=count))


@pytest.mark.parametrize(("factor", "onsets"), [(3.0, [60]), (1.0, [])])
def test_an_update_out_of_proportion(factor, onsets):
    updates = noisy(100)
    updates[60:64] *= factor
    watching = Onlookers([""])
    found = [incident for first in (0, 50) for incident in watching.extend(block(first, updates[first : first + 50]))]
    assert [(incident.key, incident.step) for incident in found] == [("update/norm", at) for at in onsets]


def test_a_schedule_is_no_news():
    rates = np.where(np.arange(100) < 60, 0.1, 0.3)
    assert not Onlookers([""]).extend(block(0, noisy(100) * rates, rates=rates))
    assert Onlookers([""]).extend(block(0, noisy(100) * rates))  # the twin: the rate did not change


def test_at_a_stride_and_with_a_rate_of_zero():
    updates, rates = noisy(400), np.full(400, 0.1)
    updates[300] *= 5
    rates[:5], updates[:5] = 0.0, 0.0
    found = Onlookers([""]).extend(block(0, updates, rates=rates, stride=10))
    assert [incident.step for incident in found] == [300]


def test_what_goes_on_is_told_in_each_block_and_a_resumed_fit_knows_it():
    first, second = Onlookers([""]), Onlookers([""])
    dead = 0.25 + 0.01 * np.random.default_rng(1).normal(size=80)
    dead[60:] += 0.5
    assert [incident.step for incident in first.extend(block(0, np.ones(61), dead=dead[:61]))] == [60]
    second.load_state_dict(first.state_dict())
    rest = block(61, np.ones(19), dead=dead[61:])
    assert second.extend(rest) == first.extend(rest)


def test_each_optimizer_has_its_own():
    updates = noisy(100)
    updates[60] *= 5
    named = [key + "/optimizer_1" for key in KEYS]
    found = Onlookers(["/optimizer_0", "/optimizer_1"]).extend(block(0, updates, keys=named))
    assert [incident.key for incident in found] == ["update/norm/optimizer_1"]
