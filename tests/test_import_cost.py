"""Nothing heavy is imported by the package, its help, or its commands on logs of any kind."""

import subprocess
import sys

import numpy as np
import pytest

from stabilimeter.records.manifest import Manifest, RunStatus
from stabilimeter.records.writer import RunWriter

HEAVY = (
    "torch",
    "lightning",
    "pytorch_lightning",
    "hydra",
    "omegaconf",
    "pandas",
    "sklearn",
    "matplotlib",
    "tensorflow",
    "scipy.stats",
    "tensorboard.main",
    "tensorboard.program",
    "tensorboard.backend",
    "tensorboard.data",
    "torch.utils.tensorboard",
)


def imported(code):
    """Modules that ``code`` imports in a fresh interpreter, besides those that start-up itself brings in."""
    script = f"import sys\nbefore = set(sys.modules)\n{code}\nprint(chr(10).join(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines())


def heavy(modules):
    return sorted(name for name in modules if any(name == top or name.startswith(f"{top}.") for top in HEAVY))


@pytest.fixture
def sweep(tmp_path):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        writer = RunWriter(tmp_path / "sweep" / f"seed={seed}", Manifest(seed=seed, monitor="val_loss", mode="min"))
        loss = 1 + np.exp(-np.arange(300) / 50) + 0.01 * rng.standard_normal(300)
        writer.write_block(["train/loss", "val_loss"], np.arange(300), np.column_stack([loss, loss]), np.arange(300.0))
        writer.close(RunStatus.COMPLETED, last_step=299)
    (tmp_path / "checks.yaml").write_text("- {score: failure_rate, max: 0}\n")
    return tmp_path


def call(*arguments):
    return f"""
import contextlib, io
from stabilimeter.cli import main
with contextlib.redirect_stdout(io.StringIO()):
    try:
        status = main({list(arguments)!r})
    except SystemExit as left:
        status = left.code
assert status == 0, status
"""


def test_the_test_can_fail():
    assert heavy(imported("import scipy.stats")) != []


def test_importing_the_package_imports_nothing_heavy_not_even_numpy():
    modules = imported("import stabilimeter")
    assert heavy(modules) == []
    assert "numpy" not in modules


def test_help_needs_neither_numpy_nor_rich():
    modules = imported(call("--help"))
    assert heavy(modules) == []
    assert {"numpy", "rich", "yaml"} & modules == set()


def test_summarize_on_our_records_with_everything_written(sweep):
    modules = imported(call("summarize", str(sweep / "sweep"), "--json", str(sweep / "out.json")))
    assert (sweep / "sweep" / "across_seeds").is_dir()
    assert "stabilimeter.present.tensorboard" in modules
    assert heavy(modules) == []


def test_gate(sweep):
    modules = imported(call("gate", str(sweep / "sweep"), "--checks", str(sweep / "checks.yaml")))
    assert "stabilimeter.present.gate" in modules
    assert heavy(modules) == []
    assert not [name for name in modules if name.split(".")[0] == "tensorboard"]
