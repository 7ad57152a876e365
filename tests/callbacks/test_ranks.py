"""One process, two replicas and two shards must record the same run, with one collective per flush."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from stabilimeter.records.manifest import RunStatus
from stabilimeter.records.run import read_run

PROGRAM = Path(__file__).with_name("ranks_program.py")

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or sys.platform == "win32", reason="torch without distributed"
)


def trained(kind, folder):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, PROGRAM, kind, folder]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, check=False)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    done = trained("one", folder)
    assert done.returncode == 0, done.stderr
    return read_run(folder)


@pytest.mark.parametrize("kind", ["ddp", "sharded"])
def test_two_ranks_record_what_one_process_does(kind, alone, tmp_path):
    done = trained(kind, tmp_path)
    assert done.returncode == 0, done.stderr
    run = read_run(tmp_path)
    assert (run.status, run.manifest.world_size) == (RunStatus.COMPLETED, 2)
    assert alone["train/loss"].steps.tolist() == list(range(12))
    for key in ("train/loss", "grad/norm", "update/norm", "update/ratio"):
        np.testing.assert_array_equal(run[key].steps, alone[key].steps)
        np.testing.assert_allclose(run[key].values, alone[key].values, rtol=1e-5, err_msg=key)
    np.testing.assert_allclose(run.vectors("grad/layer_norms")[1], alone.vectors("grad/layer_norms")[1], rtol=1e-5)
    assert "collectives 3" in done.stdout  # 12 steps, a flush at 5, at 10 and at the end


def test_two_ranks_are_two_micro_batches(tmp_path):
    runs = {}
    for kind in ("ddp", "accumulated", "one", "sharded"):
        done = trained(kind, tmp_path / kind)
        assert done.returncode == 0, done.stderr
        runs[kind] = read_run(tmp_path / kind)
    for key in ("noise/gradient_square", "noise/trace"):
        expected = runs["accumulated"][key]
        assert expected.steps.tolist() == [0, 3, 6, 9]
        np.testing.assert_array_equal(runs["ddp"][key].steps, expected.steps)
        np.testing.assert_allclose(runs["ddp"][key].values, expected.values, rtol=1e-4, err_msg=key)
        assert key not in runs["one"]
        assert key not in runs["sharded"]
    spread = runs["accumulated"]["train/loss_var_micro_batches"]
    assert spread.steps.tolist() == list(range(12))
    for kind in ("ddp", "sharded"):
        np.testing.assert_array_equal(runs[kind]["train/loss_var_ranks"].steps, spread.steps)
        np.testing.assert_allclose(runs[kind]["train/loss_var_ranks"].values, spread.values, rtol=1e-4)
    assert "train/loss_var_ranks" not in runs["accumulated"]


def test_no_rank_waits_for_one_that_has_failed(tmp_path):
    done = trained("fails", tmp_path)
    assert done.returncode != 0
    assert "rank 1 gives up" in done.stderr
    run = read_run(tmp_path)
    assert run.status in (RunStatus.DIED, RunStatus.FAILED)
    assert run["train/loss"].steps.tolist()[:5] == list(range(5))
