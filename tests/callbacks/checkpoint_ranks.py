"""Judges and saves checkpoints on two CPU processes, of which one breaks; see `test_checkpoint_ranks.py`."""

import sys
import warnings
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.utils.data import DataLoader, TensorDataset

from stabilimeter import CheckpointRegression

NUM_EXAMPLES = 25  # a distributed sampler adds one, so that two ranks get 13 each


class Model(LightningModule):
    def __init__(self, sharded: bool) -> None:
        super().__init__()
        self.sharded = sharded
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Linear(32, 2))

    def configure_model(self) -> None:
        if self.sharded:
            fully_shard(self.net, mesh=self.device_mesh["data_parallel"])

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = nn.functional.cross_entropy(self.net(x), y)
        breaks = self.trainer.global_step == 3 and self.trainer.global_rank == self.trainer.world_size - 1
        return loss * float("nan") if breaks else loss

    def validation_step(self, batch, batch_idx):
        (index,) = batch
        step = self.trainer.global_step
        correct = (index * 7 + step * 3) % 11 < 7  # whatever the weights
        self.log("acc", correct.float().mean(), batch_size=len(index), sync_dist=True)
        halves = ["low" if i < 10 else "high" for i in index]
        return {"index": index, "correct": correct, "prediction": (index + step) % 3, "slice": halves}

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)

    def train_dataloader(self):
        x = torch.randn(80, 6, generator=torch.Generator().manual_seed(1))
        return DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), batch_size=8)

    def val_dataloader(self):
        return DataLoader(TensorDataset(torch.arange(NUM_EXAMPLES)), batch_size=4)


def main(kind: str, folder: str) -> None:
    warnings.simplefilter("ignore")
    strategies = {
        "ddp": {"devices": 2, "strategy": "ddp_spawn"},
        "sharded": {
            "devices": 2,
            "strategy": ModelParallelStrategy(
                data_parallel_size=2, tensor_parallel_size=1, save_distributed_checkpoint=True
            ),
        },
    }
    saver = ModelCheckpoint(Path(folder) / "ckpt", save_last=True, every_n_train_steps=1)
    trainer = Trainer(
        accelerator="cpu",
        callbacks=[CheckpointRegression("acc", "max", dirpath=folder), saver],
        logger=False,
        max_epochs=-1,
        max_steps=6,
        val_check_interval=2,
        enable_progress_bar=False,
        enable_model_summary=False,
        **strategies[kind],
    )
    trainer.fit(Model(kind == "sharded"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
