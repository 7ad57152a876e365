"""A small module that measures itself with plain PyTorch, and a Trainer without frills."""

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.records.run import Run, read_run

NUM_BATCHES = 12


def norm(tensors: list[Tensor]) -> float:
    """2-norm over all elements, in double precision, without any norm function of torch."""
    return math.sqrt(sum((t.detach().double() ** 2).sum().item() for t in tensors))


class Probe(LightningModule):
    """Two layers on random data; keeps what a monitor should report, measured the slow and plain way."""

    def __init__(self, make_optimizer: Callable[[Any], Any] | None = None, lr: float = 0.1) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))
        self.make_optimizer = make_optimizer or (lambda parameters: torch.optim.SGD(parameters, lr=lr))
        self.losses: list[float] = []
        self.batches_of_step: list[list[float]] = [[]]
        self.norms: list[float] = []
        self.clipped_norms: list[float] = []
        self.layer_norms: list[list[float]] = []
        self.update_norms: list[float] = []
        self.weight_norms: list[float] = []

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        x, y = batch
        loss = nn.functional.cross_entropy(self.net(x), y)
        self.batches_of_step[-1].append(loss.item())
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        x, y = batch
        self.log("val_loss", nn.functional.cross_entropy(self.net(x), y))

    def gradients(self) -> list[Tensor]:
        return [p.grad for p in self.parameters() if p.grad is not None]

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        self.norms.append(norm(self.gradients()))
        self.layer_norms.append([0.0 if p.grad is None else norm([p.grad]) for p in self.parameters()])

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        before = [p.detach().clone() for p in self.parameters()]
        super().optimizer_step(*args, **kwargs)
        self.clipped_norms.append(norm(self.gradients()))
        self.update_norms.append(norm([p - q for p, q in zip(self.parameters(), before, strict=True)]))
        self.weight_norms.append(norm(before))
        self.losses.append(sum(self.batches_of_step[-1]) / max(len(self.batches_of_step[-1]), 1))
        self.batches_of_step.append([])

    def configure_optimizers(self) -> Any:
        return self.make_optimizer(self.parameters())

    def train_dataloader(self) -> DataLoader:
        return loader()

    def val_dataloader(self) -> DataLoader:
        return loader()


def loader(num_batches: int = NUM_BATCHES, batch_size: int = 4) -> DataLoader:
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(num_batches * batch_size, 6, generator=generator)
    return DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), batch_size=batch_size)


@pytest.fixture
def probe_class() -> type[Probe]:
    return Probe


@pytest.fixture
def make_loader() -> Callable[..., DataLoader]:
    return loader


@pytest.fixture
def plain_norm() -> Callable[[list[Tensor]], float]:
    return norm


@pytest.fixture(autouse=True)
def _quiet_lightning() -> Any:
    """Lightning's own advice about workers and devices is no error of ours."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")
        torch.manual_seed(0)
        yield


@pytest.fixture
def make_trainer(tmp_path: Path) -> Callable[..., Trainer]:
    def make(*callbacks: Any, **kwargs: Any) -> Trainer:
        quiet = {
            "accelerator": "cpu",
            "logger": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "enable_checkpointing": False,
            "default_root_dir": tmp_path,
            "max_epochs": 1,
        }
        return Trainer(callbacks=list(callbacks), **{**quiet, **kwargs})

    return make


@pytest.fixture
def recorded(make_trainer: Callable[..., Trainer], tmp_path: Path) -> Callable[..., Run]:
    """Fit a module with a monitor, and read the record back."""

    def fit(module: LightningModule, *others: Any, monitor: StabilityMonitor | None = None, **kwargs: Any) -> Run:
        trainer = make_trainer(
            monitor or StabilityMonitor(strided_every_n_steps=1), *others, **{"limit_val_batches": 0, **kwargs}
        )
        trainer.fit(module)
        return read_run(tmp_path)

    return fit
