"""Each loss is judged beside the gradient norm of its own optimizer: the monitor finds what its record shows."""

import numpy as np
import pytest

from stabilimeter.callbacks.capture.block import Block
from stabilimeter.callbacks.capture.own_cost import OwnCost
from stabilimeter.callbacks.recording.journal import Journal
from stabilimeter.callbacks.recording.onlookers import Onlookers
from stabilimeter.callbacks.recording.step_evidence import StepEvidence
from stabilimeter.records.manifest import Manifest, RunStatus
from stabilimeter.records.run import read_run
from stabilimeter.records.writer import RunWriter
from stabilimeter.stats.detection import detect

SUFFIXES = ("/optimizer_0", "/optimizer_1")
N, TURNS_AT = 330, 300


@pytest.fixture
def loss():
    """It rises by one noise width, within what noise may do."""
    series = 2.0 + 0.1 * np.random.default_rng(3).standard_normal((2, N))[0]
    series[TURNS_AT:] += 0.1
    return series


@pytest.fixture
def norm():
    """A gradient norm that has nothing to do with it."""
    return np.exp(0.2 * np.random.default_rng(3).standard_normal((2, N))[1])


def journal(folder):
    return Journal(
        RunWriter(folder, Manifest()),
        [],
        derived=[[], []],
        evidence=[StepEvidence("optim/lr", "grad/layer_norms", [])] * 2,
        watched={key + suffix: key == "grad/norm" for suffix in SUFFIXES for key in ("train/loss", "grad/norm")},
        companions={"train/loss" + suffix: "grad/norm" + suffix for suffix in SUFFIXES},
        onlookers=Onlookers(SUFFIXES),
        monitor=None,
        mode=None,
    )


def recorded(folder, losses, norms, length, *, every=1):
    """The run of two optimizers, entered in blocks; the norm is measured at every so many steps."""
    writing = journal(folder)
    for first in range(0, N, length):
        steps = np.arange(first, min(first + length, N))
        for suffix, loss, norm in zip(SUFFIXES, losses, norms, strict=True):
            measured = np.stack([steps % every == 0, np.ones(len(steps), bool)], axis=1)
            values = np.stack([norm[steps], loss[steps]], axis=1).astype(np.float32)  # as signals are, and the record
            values = np.where(measured, values.astype(float), 0.0)
            columns, none = ["grad/norm" + suffix, "train/loss" + suffix], [0] * len(steps)
            block = Block(columns, steps, values, measured, steps.astype(float), none, none, {})
            writing.enter_block(SUFFIXES.index(suffix), block)
    writing.close(RunStatus.COMPLETED, None, N - 1, OwnCost())
    return read_run(folder)


def found_in(run, suffix):
    """What the monitor has found, and what its record shows with the gradient norm beside the loss and without."""
    key, norms = "train/loss" + suffix, run["grad/norm" + suffix]
    steps, values = run[key].steps.tolist(), run[key].values.tolist()
    known = dict(zip(norms.steps.tolist(), norms.values.tolist(), strict=True))
    beside = detect(steps, values, beside=[known.get(step) for step in steps])
    online = [incident for incident in run.incidents if incident.key == key]
    return tuple(
        [(i.kind, i.step, i.end_step, i.value) for i in one] for one in (online, beside, detect(steps, values))
    )


@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("length", [1, 7, 50, N])
def test_a_turn_that_its_own_gradient_norm_shows_as_well(tmp_path, loss, norm, length, turned):
    norms = [norm, norm]
    norms[turned] = np.where(np.arange(N) < TURNS_AT, norm, 1.6 * norm)
    run = recorded(tmp_path, [loss, loss], norms, length)
    online, beside, alone = found_in(run, SUFFIXES[turned])
    assert online == beside != []
    assert 295 <= online[0][1] <= 305
    assert alone == []
    assert found_in(run, SUFFIXES[1 - turned]) == ([], [], [])


@pytest.mark.parametrize("every", [2, 10])
def test_where_the_norm_is_not_measured_the_loss_is_judged_alone(tmp_path, loss, norm, every):
    loss[TURNS_AT:] += 0.1
    run = recorded(tmp_path, [loss, loss], [norm, norm], 50, every=every)
    online, beside, _ = found_in(run, "/optimizer_0")
    assert len(run["grad/norm/optimizer_0"].steps) == N / every
    assert online == beside != []
