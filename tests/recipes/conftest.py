"""A user's project beside the recipe: a module that fails, waits or ignores its seed on request."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes"
PROJECT = """
import os
import time

import torch
from lightning import LightningDataModule, LightningModule
from torch.utils.data import DataLoader, TensorDataset


class Line(LightningModule):
    def __init__(self, ignore_seed: bool = False, lr: float = 0.05):
        super().__init__()
        self.lr = lr
        self.seed = torch.initial_seed()
        if ignore_seed:
            torch.manual_seed(0)
        elif self.seed == 2 and "LUCKY" not in os.environ:
            raise RuntimeError("no such model")
        self.ignore_seed = ignore_seed
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        if self.seed == 1 and not self.ignore_seed and self.global_step == 30 and "LUCKY" not in os.environ:
            raise ValueError("no such luck")
        if str(self.seed) == os.environ.get("SLOW_SEED"):
            time.sleep(0.1)
        x, y = batch
        return torch.nn.functional.mse_loss(self.layer(x), y)

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.training_step(batch, batch_idx))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)


class Points(LightningDataModule):
    def setup(self, stage):
        x = torch.linspace(-1, 1, 80).unsqueeze(1)
        self.points = TensorDataset(x, 2 * x + 1)

    def train_dataloader(self):
        return DataLoader(self.points, batch_size=8, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.points, batch_size=80)
"""
OWN = ("experiment=own", "model._target_=my_project.Line", "datamodule._target_=my_project.Points")

Sweep = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the user works; sweeps go to ``folder / "out"``."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "my_project.py").write_text(PROJECT)
    return folder


@pytest.fixture(scope="module")
def command() -> Callable[..., list[str]]:
    def arguments(*overrides: str, script: str = "seed_sweep") -> list[str]:
        placed = any(override.startswith("hydra.sweep.dir=") for override in overrides)
        return [sys.executable, str(RECIPES / f"{script}.py"), *overrides, *([] if placed else ["hydra.sweep.dir=out"])]

    return arguments


@pytest.fixture(scope="module")
def environment(folder: Path) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "160"}


@pytest.fixture(scope="module")
def recipe(folder: Path, command: Callable[..., list[str]], environment: dict[str, str]) -> Sweep:
    """Runs a recipe to its end."""

    def run(*overrides: str, script: str = "seed_sweep", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*overrides, script=script),
            cwd=folder,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )

    return run
