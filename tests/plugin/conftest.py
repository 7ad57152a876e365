"""A small real sweep, as the writer of the records leaves it, and the plugin looking at it."""

import json
import time
from types import SimpleNamespace

import numpy as np
import pytest
from werkzeug.test import Client

from stabilimeter.records.manifest import Manifest, RunStatus, SignalSpec
from stabilimeter.records.writer import RunWriter
from stabilimeter.stats.incident import Incident, Kind
from stabilimeter.tensorboard_plugin.plugin import StabilityPlugin

N = 600
LAYERS = ("first.weight", "middle.weight", "last.weight")
HOSTILE = '<img src=x onerror="document.title=1">'


def spec(key, names=()):
    return SignalSpec(key, "", "", "mean", positive=False, names=names)


def write_run(folder, group, seed, *, lost_at=None, spikes=()):
    """One run of ours; a lost one has a gradient norm that grows 20 steps before its loss, which ends as NaN."""
    rng = np.random.default_rng(seed + 17 * (lost_at is not None))
    steps = np.arange(N)
    loss = 0.5 + 2 * np.exp(-steps / 80) + rng.normal(scale=0.02, size=N)
    norm = np.exp(rng.normal(scale=0.1, size=N))
    ratio = 1e-3 * np.exp(rng.normal(scale=0.1, size=N))
    layers = np.exp(rng.normal(scale=0.1, size=(N, 3)))
    loss[list(spikes)] += 3.0
    if lost_at is not None:
        norm[lost_at - 20 :] *= 40
        loss[lost_at:] += np.linspace(0.5, 6, N - lost_at)
        loss[-60:] = np.nan
        layers[lost_at - 40 :, 1] *= 40
        layers[lost_at:, 2] *= 40
    signals = (spec("train/loss"), spec("grad/norm"), spec("grad/layer_norms", LAYERS))
    manifest = Manifest(seed=seed, group=group, monitor="val/loss", mode="min", planned_steps=N, signals=signals)
    writer = RunWriter(folder / group / f"seed={seed}", manifest)
    columns = np.column_stack([loss, norm, ratio, np.full(N, 0.1), loss])
    keys = ["train/loss", "grad/norm", "update/ratio", "optim/lr", HOSTILE]
    writer.write_block(keys, steps, columns, 1e9 + steps / 100)
    for step in range(0, N, 20):
        writer.write_vector("grad/layer_norms", step, layers[step], 1e9 + step / 100)
        writer.write_scalars(step, {"val/loss": float(loss[step]) + 0.05})
    for spike_at in spikes:
        evidence = {"learning_rate": 0.1, "top_layers": {"middle.weight": 3.25}}
        writer.write_incident(
            Incident(Kind.SPIKE, spike_at, spike_at, float(loss[spike_at]), 0.55, 0.02, "train/loss", evidence=evidence)
        )
    if lost_at is not None:
        writer.write_incident(Incident(Kind.NONFINITE, N - 60, N - 1, float("nan"), 5.0, 0.02, "train/loss"))
    writer.close(RunStatus.COMPLETED if lost_at is None else RunStatus.DIVERGED, last_step=N - 1)


def write_sweep(folder):
    for seed in range(3):
        write_run(folder, "lr=0.1", seed, spikes=(300, 480) if seed == 1 else ())
    for seed in range(3):
        write_run(folder, "lr=1.0", seed, lost_at=400 if seed == 2 else None)


class Tab:
    """The plugin as TensorBoard would mount it."""

    def __init__(self, folder):
        self.plugin = StabilityPlugin(SimpleNamespace(flags=SimpleNamespace(logdir=str(folder)), logdir=None))
        self.apps = self.plugin.get_plugin_apps()

    def ask(self, name, **arguments):
        """Status code and JSON."""
        answer = Client(self.apps[f"/data/{name}"]).get("/", query_string=arguments)
        assert answer.content_type == "application/json"
        return answer.status_code, json.loads(answer.get_data())

    def get(self, name, **arguments):
        code, answer = self.ask(name, **arguments)
        assert code == 200, answer
        return answer

    def wait(self, until=lambda status: status["is_scored"] or status["error"], seconds=60):
        deadline = time.monotonic() + seconds
        while not until(status := self.get("status")):
            assert time.monotonic() < deadline, status
            time.sleep(0.05)
        return status


@pytest.fixture(scope="session")
def sweep(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    write_sweep(folder)
    return folder


@pytest.fixture(scope="session")
def tab(sweep):
    tab = Tab(sweep)
    assert tab.wait()["error"] is None
    return tab
