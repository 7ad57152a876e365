"""Sweeps that are stopped in the middle: Ctrl-C, then kill -9, then the same command again."""

import signal
import subprocess
import time
from pathlib import Path

import numpy as np

from stabilimeter.analysis.summarize import summarize
from stabilimeter.records.manifest import RunStatus
from stabilimeter.records.run import read_run
from stabilimeter.records.sweep import read_sweep

OWN = ("experiment=own", "model._target_=my_project.Line", "datamodule._target_=my_project.Points")
ARGUMENTS = ("--multirun", "seed=0,3,4", "trainer.max_epochs=6", "+callbacks.stability.flush_every_n_steps=5", *OWN)


def run_of(folder: Path, seed: int) -> Path:
    (path,) = folder.glob(f"out/own/*/seed={seed}")
    return path


def wait_until_training(folder: Path, seed: int, process: subprocess.Popen[str]) -> None:
    """Until a training step of the seed has been recorded."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        if list(folder.glob(f"out/own/*/seed={seed}/stability/manifest.json")):
            run = read_run(run_of(folder, seed))
            if run.status is RunStatus.RUNNING and "train/loss" in run:
                return
        time.sleep(0.1)
    raise AssertionError("the run did not start")


def test_interrupted_sweep_loses_one_seed_and_goes_on(recipe, command, environment, folder):
    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command(*ARGUMENTS),
            cwd=folder,
            env={**environment, "SLOW_SEED": "3"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_until_training(folder, 3, process)
        return process

    first = start()
    first.send_signal(signal.SIGINT)
    _, stderr = first.communicate(timeout=60)
    assert first.returncode == 1
    assert "stabilimeter summarize out shows what there is" in stderr
    assert read_run(run_of(folder, 3)).status is RunStatus.CANCELLED
    untouched = (run_of(folder, 0) / "stability" / "manifest.json").read_bytes()

    second = start()
    second.send_signal(signal.SIGKILL)
    second.communicate(timeout=60)
    (summary,) = summarize(read_sweep(folder / "out"), rng=np.random.default_rng(0)).groups
    assert [(run.seed, run.status, run.failed) for run in summary.runs] == [(0, "completed", False), (3, "died", True)]
    assert summary.runs[1].failure_reason.startswith("died")
    assert 0 <= summary.runs[1].last_step < 59

    done = recipe(*ARGUMENTS)
    assert done.returncode == 0, done.stderr
    assert "training from the start; the earlier attempt: died" in done.stdout
    assert (run_of(folder, 0) / "stability" / "manifest.json").read_bytes() == untouched
    (summary,) = summarize(read_sweep(folder / "out"), rng=np.random.default_rng(0)).groups
    assert [(run.seed, run.status, run.last_step) for run in summary.runs] == [
        (0, "completed", 59),
        (3, "completed", 59),
        (4, "completed", 59),
    ]
    assert np.array_equal(read_run(run_of(folder, 3))["train/loss"].steps, np.arange(60))
