"""One process, two replicas and two shards must record the same run, with one collective per flush."""

import functools
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
def once(tmp_path_factory):
    """Train in one way, once for all tests: how it ended and the record."""

    @functools.cache
    def train(kind):
        folder = tmp_path_factory.mktemp(kind)
        done = trained(kind, folder)
        assert done.returncode == 0, done.stderr
        return done, read_run(folder)

    return train


@pytest.mark.parametrize("kind", ["ddp", "sharded"])
def test_two_ranks_record_what_one_process_does(kind, once):
    (done, run), (_, alone) = once(kind), once("one")
    assert (run.status, run.manifest.world_size) == (RunStatus.COMPLETED, 2)
    assert alone["train/loss"].steps.tolist() == list(range(12))
    hessian = ["hessian/max_eigenvalue"] if kind == "ddp" else []
    for key in ("train/loss", "grad/norm", "update/norm", "update/ratio", *hessian):
        np.testing.assert_array_equal(run[key].steps, alone[key].steps)
        np.testing.assert_allclose(run[key].values, alone[key].values, rtol=1e-6, err_msg=key)
    np.testing.assert_allclose(run.vectors("grad/layer_norms")[1], alone.vectors("grad/layer_norms")[1], rtol=1e-6)
    flushes, products = 3, 20 * len(hessian)  # 12 steps, a flush at 5, at 10 and at the end
    assert f"collectives {flushes + products}\n" in done.stdout


def test_two_ranks_are_two_micro_batches(once):
    runs = {kind: once(kind)[1] for kind in ("ddp", "accumulated", "one", "sharded")}
    for key in ("noise/gradient_square", "noise/trace"):
        expected = runs["accumulated"][key]
        assert expected.steps.tolist() == [0, 3, 6, 9]
        np.testing.assert_array_equal(runs["ddp"][key].steps, expected.steps)
        np.testing.assert_allclose(runs["ddp"][key].values, expected.values, rtol=1e-6, err_msg=key)
        assert key not in runs["one"]
        assert key not in runs["sharded"]
    spread = runs["accumulated"]["train/loss_var_micro_batches"]
    assert spread.steps.tolist() == list(range(12))
    for kind in ("ddp", "sharded"):
        np.testing.assert_array_equal(runs[kind]["train/loss_var_ranks"].steps, spread.steps)
        np.testing.assert_allclose(runs[kind]["train/loss_var_ranks"].values, spread.values, rtol=1e-6)
    assert "train/loss_var_ranks" not in runs["accumulated"]
    for key in ("activation/module_rms", "activation/module_kurtosis"):  # no norms of shards, so a mean
        assert runs["ddp"].vectors(key)[2] == ("net.0", "net.1", "net.2", "net.3")
        np.testing.assert_allclose(runs["sharded"].vectors(key)[1], runs["ddp"].vectors(key)[1], rtol=1e-6)
        assert (runs["ddp"].vectors(key)[1] < runs["one"].vectors(key)[1] * 1.3).all()


def test_no_rank_waits_for_one_that_has_failed(tmp_path):
    done = trained("fails", tmp_path)
    assert done.returncode != 0
    assert "rank 1 gives up" in done.stderr
    run = read_run(tmp_path)
    assert run.status in (RunStatus.DIED, RunStatus.FAILED)
    assert run["train/loss"].steps.tolist()[:5] == list(range(5))
