"""One of two seeds that train side by side, each in a process of its own: python seed_program.py FOLDER SEED SCALE."""

import sys
import time
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from stabilimeter import SeedSpread, StabilityMonitor

STEPS = 50


class Module(LightningModule):
    """Its loss falls in a straight line; every ten steps it waits for the other seed."""

    def __init__(self, folder: Path, seed: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.folder, self.seed, self.scale = folder, seed, scale

    def training_step(self, batch, batch_idx):
        if self.global_step % 10 == 0:
            (self.folder / f"gate_{self.seed}_{self.global_step}").touch()
            deadline = time.monotonic() + 60
            while not (self.folder / f"gate_{1 - self.seed}_{self.global_step}").exists():
                if time.monotonic() > deadline:
                    raise TimeoutError("the other seed does not come")
                time.sleep(0.01)
        return self.weight.sum() * 0 + self.scale * (3 - self.global_step / STEPS)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def train_dataloader(self):
        return DataLoader(TensorDataset(torch.zeros(STEPS, 1)))


def main() -> None:
    folder, seed, scale = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    Trainer(
        callbacks=[
            StabilityMonitor(flush_every_n_steps=5, group="g", seed=seed),
            SeedSpread(every_n_seconds=0, level_steps=5),
        ],
        default_root_dir=folder / f"seed={seed}",
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    ).fit(Module(folder, seed, scale))


if __name__ == "__main__":
    main()
