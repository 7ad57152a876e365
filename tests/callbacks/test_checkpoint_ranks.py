"""Two ranks see each example once, agree about health, and leave the last healthy checkpoint whole."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save

from stabilimeter.records.checkpoint_log import read_checkpoints

PROGRAM = Path(__file__).with_name("checkpoint_ranks.py")

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or sys.platform == "win32", reason="torch without distributed"
)


@pytest.fixture(scope="module", params=["ddp", "sharded"])
def trained(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, PROGRAM, request.param, folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return folder, read_checkpoints(folder / "stability")[0]


def test_an_example_that_both_ranks_have_seen_counts_once(trained):
    _, log = trained
    index = np.arange(25)
    first, second = ((index * 7 + step * 3) % 11 < 7 for step in (2, 4))
    assert [evaluation.step for evaluation in log.evaluations] == [1, 3]
    changes, against = log.evaluations[1].examples, log.evaluations[1].against_best
    lost, won = int(np.sum(first & ~second)), int(np.sum(~first & second))
    assert (changes.n, changes.negative, changes.positive) == (25, lost, won)
    assert changes.churn == 1.0
    assert changes.never_learned == np.sum(~(first | second))
    assert against.p == pytest.approx(binomtest(lost, lost + won).pvalue)
    assert {part.name: (part.n, part.value) for part in log.evaluations[1].slices} == {
        "low": (10, second[:10].mean()),
        "high": (15, second[10:].mean()),
    }


def test_one_rank_that_breaks_is_the_health_of_all(trained):
    folder, log = trained
    by_path = {saved.path: saved for saved in log.saved}
    assert by_path["ckpt/sick-last.ckpt"].instead_of == "ckpt/last.ckpt"
    assert (log.last_healthy.path, log.last_healthy.step) == ("ckpt/last.ckpt", 2)
    checkpoint = folder / "ckpt" / "last.ckpt"
    assert all(torch.isfinite(weight).all() for weight in weights_in(checkpoint, folder))
    assert not all(torch.isfinite(weight).all() for weight in weights_in(folder / "ckpt" / "sick-last.ckpt", folder))


def weights_in(checkpoint, folder):
    if checkpoint.is_dir():
        dcp_to_torch_save(checkpoint, folder / "whole.pt")
        checkpoint = folder / "whole.pt"
    return torch.load(checkpoint, weights_only=True)["state_dict"].values()
