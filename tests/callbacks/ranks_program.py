"""Trains one model on 1 or 2 CPU processes; `test_ranks.py` runs it and compares the records."""

import sys
import warnings

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.utils.data import DataLoader, TensorDataset

from stabilimeter.callbacks.catalogue import CATALOGUE
from stabilimeter.callbacks.monitor import StabilityMonitor


class Scale(nn.Module):
    """One number: when it is sharded, the second rank holds nothing of it."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.full((1,), 1.5))

    def forward(self, x):
        return self.factor * x


class Model(LightningModule):
    """In double precision, so that a different order of sums does not show in what is recorded."""

    def __init__(self, sharded: bool, accumulated: bool = False) -> None:
        super().__init__()
        self.sharded, self.accumulated = sharded, accumulated
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(6, 33), nn.Tanh(), nn.Linear(33, 3), Scale()).double()

    def configure_model(self) -> None:
        if self.sharded:
            fully_shard(self.net, mesh=self.device_mesh["data_parallel"])

    def training_step(self, batch, batch_idx):
        x, y = batch
        return nn.functional.cross_entropy(self.net(x), y)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)

    def train_dataloader(self):
        x = torch.randn(96, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
        ranks = self.trainer.world_size
        if self.accumulated:  # one process gets the batches of two ranks in turn
            turns = torch.arange(96).view(12, 4, 2).transpose(1, 2).flatten()
            return DataLoader(TensorDataset(x[turns], y[turns]), batch_size=4)
        mine = slice(self.trainer.global_rank, None, ranks)
        return DataLoader(TensorDataset(x[mine], y[mine]), batch_size=8 // ranks)


class Collectives(Callback):
    """Counts the collectives that the monitor asks for."""

    def __init__(self) -> None:
        self.count = 0

    def on_train_start(self, trainer, module):
        original = torch.distributed.all_reduce

        def counted(*args, **kwargs):
            self.count += 1
            return original(*args, **kwargs)

        torch.distributed.all_reduce = counted

    def on_train_end(self, trainer, module):
        if trainer.is_global_zero:
            print("collectives", self.count)


class Fails(Callback):
    """One rank gives up."""

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if trainer.global_rank == 1 and batch_idx == 5:
            raise RuntimeError("rank 1 gives up")


def main(kind: str, folder: str) -> None:
    warnings.simplefilter("ignore")
    strategies = {
        "one": {"devices": 1},
        "accumulated": {"devices": 1, "accumulate_grad_batches": 2},
        "ddp": {"devices": 2, "strategy": "ddp_spawn"},
        "fails": {"devices": 2, "strategy": "ddp_spawn"},
        "sharded": {"devices": 2, "strategy": ModelParallelStrategy(data_parallel_size=2, tensor_parallel_size=1)},
    }
    signals = [name for name in CATALOGUE if kind != "sharded" or not name.startswith("hessian")]
    monitor = StabilityMonitor(signals, flush_every_n_steps=5, strided_every_n_steps=3, dirpath=folder)
    trainer = Trainer(
        accelerator="cpu",
        callbacks=[monitor, Collectives()] + ([Fails()] if kind == "fails" else []),
        logger=False,
        max_epochs=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        use_distributed_sampler=False,
        **strategies[kind],
    )
    trainer.fit(Model(kind == "sharded", kind == "accumulated"))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
