"""The sweep hooks in a user's own Hydra app: no recipe, no Lightning, Hydra's own folders."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stabilimeter.records.run import read_run

APP = """
import sys
import hydra
from hydra.experimental.callback import Callback
from stabilimeter.multirun.mark import job_configuration, job_folder
from stabilimeter.records.manifest import Manifest, RunStatus
from stabilimeter.records.writer import RunWriter


class Mine(Callback):
    def on_job_end(self, config, job_return, **kwargs):
        print("mine saw", job_return.status.name)

    def on_multirun_end(self, config, **kwargs):
        print("mine saw the end")


@hydra.main(version_base="1.3", config_path=".", config_name="train")
def main(config):
    if config.seed == config.quits:
        sys.exit(5)
    if config.seed == config.fails:
        raise ValueError("boom")
    writer = RunWriter(job_folder(), Manifest(seed=config.seed, group=job_configuration()[1], planned_steps=60))
    for step in range(60):
        writer.write_scalars(step, {"train/loss": 1 / (step + 1) + 0.01 * config.seed})
    writer.close(RunStatus.COMPLETED, last_step=59)


if __name__ == "__main__":
    main()
"""
CONFIG = """
seed: 0
fails: null
quits: null
hydra:
  callbacks:
    mine: {_target_: __main__.Mine}
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "train.yaml").write_text(CONFIG)
    return tmp_path


def run_app(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "app.py", *arguments, "hydra/callbacks=stability"],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_failing_job_becomes_a_failed_seed_of_the_same_group(app):
    done = run_app(app, "--multirun", "seed=range(0,4)", "fails=2")
    assert done.returncode == 3, done.stderr
    assert "1 of 4 runs failed: 2" in done.stderr
    assert done.stdout.count("mine saw COMPLETED") == 3
    assert done.stdout.count("mine saw FAILED") == 1
    assert "mine saw the end" in done.stdout

    (path,) = (app / "multirun").rglob("summary.json")
    (group,) = json.loads(path.read_text())["groups"]
    assert (group["n_runs"], group["n_failed"], group["stability"]["failure_rate"]) == (4, 1, 0.25)
    assert group["runs"][2]["failure_reason"].startswith("exception: ValueError: boom")
    loss = group["metrics"]["train/loss"]
    assert loss["n"] == 3
    assert loss["mean"] == pytest.approx(1 / 60 + 0.01 * (0 + 1 + 3) / 3, rel=1e-6)


def test_nobody_failed(app):
    done = run_app(app, "--multirun", "seed=0,1,2")
    assert done.returncode == 0, done.stderr
    assert "failed:" not in done.stdout
    assert done.stderr == ""


def test_each_sweep_is_summarised_alone(app):
    first = run_app(app, "--multirun", "seed=0,1", "fails=1", "hydra.sweep.dir=out/a", "hydra.sweep.subdir=${seed}")
    second = run_app(app, "--multirun", "seed=0,1", "hydra.sweep.dir=out/b", "hydra.sweep.subdir=${seed}")
    assert (first.returncode, second.returncode) == (3, 0)
    assert (app / "out/a/summary.json").exists()
    third = run_app(app, "--multirun", "seed=2,3", "hydra.sweep.dir=out", "hydra.sweep.subdir=b/${seed}")
    assert third.returncode == 0  # what failed in out/a is not of this sweep
    (group,) = json.loads((app / "out/b/summary.json").read_text())["groups"]
    assert [run["seed"] for run in group["runs"]] == [0, 1, 2, 3]


def test_a_job_that_exits_ends_the_sweep_with_a_word_on_how_to_go_on(app):
    done = run_app(app, "--multirun", "seed=0,1,2", "quits=1", "hydra.sweep.dir=out")
    assert done.returncode == 5
    assert "stabilimeter summarize out shows what there is" in done.stderr
    assert not (app / "out/2").exists()


def test_a_single_run_that_raises_is_marked_and_raises(app):
    done = run_app(app, "seed=7", "fails=7", "hydra.run.dir=out")
    assert done.returncode == 1
    assert "ValueError: boom" in done.stderr
    run = read_run(app / "out")
    assert (run.seed, run.status.value, run.manifest.reason) == (7, "failed", "ValueError: boom")


def test_other_ranks_of_ddp_stay_silent_and_judge_nothing(app):
    done = run_app(app, "--multirun", "seed=0,1", "fails=1", "hydra.sweep.dir=out", LOCAL_RANK="1")
    assert done.returncode == 0
    assert "failed" not in done.stdout
    assert not list((app / "out").rglob("summary.json"))
    assert not (app / "out/1/stability").exists()


def test_the_seed_may_stand_elsewhere_in_the_config(app):
    (app / "train.yaml").write_text("run: {seed: 0}\n" + CONFIG.replace("seed: 0\n", ""))
    key = "+hydra.callbacks.stability.seed_key=run.seed"
    assert "run.seed=-4 is not a seed" in run_app(app, "--multirun", "run.seed=0,-4", key).stderr
    assert "run.seed=1.5 is not a seed" in run_app(app, "run.seed=1.5", key).stderr
