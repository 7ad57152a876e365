"""Two ranks under guard: a script, because Lightning starts the second rank by running the command again.

Usage: python guarded_ranks.py OUT_DIR; each rank leaves OUT_DIR/<rank>.pt.
"""

import sys
import warnings
from pathlib import Path

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy
from torch import nn
from torch.distributed.fsdp import fully_shard
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

from stabilimeter.callbacks.skip_list import SkippingSampler
from stabilimeter.callbacks.spike_guard import SpikeGuard

SAMPLES_PER_STEP = 8
WORLD_SIZE = 2


class Learner(LightningModule):
    def __init__(self, data, shards=False, skip_list=None):
        super().__init__()
        self.data, self.shards, self.skip_list = data, shards, skip_list
        torch.manual_seed(1)
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        self.seen = []

    def configure_model(self):
        if self.shards and not hasattr(self.net[0].weight, "placements"):
            for part in (self.net[0], self.net[2], self.net):
                fully_shard(part, mesh=self.device_mesh["data_parallel"])

    def training_step(self, batch, batch_idx):
        x, y, index = batch
        self.seen.append(index.tolist())
        return nn.functional.mse_loss(self.net(x), y)

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=0.02)

    def train_dataloader(self):
        sampler = DistributedSampler(
            self.data, WORLD_SIZE, self.trainer.global_rank, shuffle=self.skip_list is not None
        )
        if self.skip_list is not None:
            sampler = SkippingSampler(sampler, self.skip_list)
        return DataLoader(self.data, batch_size=SAMPLES_PER_STEP // WORLD_SIZE, sampler=sampler)


def data(num_steps, bad=(), turns_at=None):
    """Even samples go to rank 0, odd ones to rank 1, whose samples of the steps in ``bad`` are far off.

    From step ``turns_at`` on the targets of rank 1 move away, slowly.
    """
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(num_steps * SAMPLES_PER_STEP, 4, generator=generator)
    y = x[:, :2] + 0.5 * torch.randn(len(x), 2, generator=generator)
    index = torch.arange(len(x))
    for step in bad:
        at = (index // SAMPLES_PER_STEP == step) & (index % 2 == 1)
        y[at] = 300.0
    if turns_at is not None:
        since = (index // SAMPLES_PER_STEP - turns_at).clamp(min=0) * (index % 2)
        y -= 0.05 * since[:, None] * x[:, :2]
    return TensorDataset(x, y, index)


def fit(module, *callbacks, strategy, max_epochs=1, **kwargs):
    trainer = Trainer(
        accelerator="cpu",
        devices=WORLD_SIZE,
        strategy=strategy,
        callbacks=list(callbacks),
        max_epochs=max_epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **kwargs,
    )
    trainer.fit(module)
    return trainer


def weights(module):
    full = [p.full_tensor() if hasattr(p, "full_tensor") else p for p in module.parameters()]
    return [p.detach().clone() for p in full]


class Kept(Callback):
    """Number of elements, in all tensors on the host, that the guard's snapshot holds at step 30."""

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if batch_idx == 30:
            snapshot = next(c for c in trainer.callbacks if isinstance(c, SpikeGuard))._way_back._healthy.last
            tensors = [t for t in flat([snapshot._tensors, snapshot._optimizers]) if isinstance(t, torch.Tensor)]
            assert not any(hasattr(t, "placements") for t in tensors)
            self.numel = sum(t.numel() for t in tensors)


def flat(item):
    if isinstance(item, dict):
        return flat(list(item.values()))
    return [leaf for part in item for leaf in flat(part)] if isinstance(item, list | tuple) else [item]


def result(module, guard=None):
    actions = [] if guard is None else [(a.key, a.step, a.value, dict(a.evidence)) for a in guard.actions]
    return {"weights": weights(module), "actions": actions, "seen": module.seen}


def without(dataset, steps):
    step = torch.arange(len(dataset)) // SAMPLES_PER_STEP
    kept = ~torch.isin(step, torch.tensor(list(steps)))
    return TensorDataset(*[tensor[kept] for tensor in dataset.tensors])


def main(out):
    warnings.filterwarnings("ignore")
    found = {}
    bad, ddp = data(60, bad=[40]), DDPStrategy
    for action in ("warn", "skip", "rollback", "stop"):
        guard = SpikeGuard(action, max_skips=int(action == "skip"), max_rollbacks=1, snapshot_every_n_steps=10)
        if action == "stop":
            guard = SpikeGuard(action, max_skips=0, max_rollbacks=0)
        module = Learner(bad)
        trainer = fit(module, guard, strategy=ddp())
        found[action] = {**result(module, guard), "steps": trainer.global_step, "reason": guard.stop_reason}
    for name, left_out in (("without 40", [40]), ("without 30 to 40", range(30, 41)), ("until 40", range(40, 60))):
        module = Learner(without(bad, left_out))
        fit(module, strategy=ddp())
        found[name] = result(module)

    for name, bad_steps in (("sharded", [40]), ("sharded without", [])):
        guard = SpikeGuard("skip")
        module = Learner(without(bad, [] if bad_steps else [40]), shards=True)
        fit(module, guard, strategy=ModelParallelStrategy(data_parallel_size=2, tensor_parallel_size=1))
        found[name] = result(module, guard)
    guard = SpikeGuard("rollback", max_skips=0, snapshot_every_n_steps=10)
    module, kept = Learner(bad, shards=True), Kept()
    fit(module, kept, guard, strategy=ModelParallelStrategy(data_parallel_size=2, tensor_parallel_size=1))
    found["sharded rollback"] = {**result(module, guard), "numel": kept.numel}

    turning, slow = data(180, turns_at=120), {"max_skips": 0, "max_rollbacks": 1, "snapshot_every_n_steps": 10}
    guard, module = SpikeGuard("rollback", **slow), Learner(turning)
    fit(module, guard, strategy=ddp())
    found["turn"] = result(module, guard)
    first = guard.actions[0]
    module = Learner(without(turning, range(first.evidence["restored_step"], first.step + 1)))
    fit(module, strategy=ddp())
    found["without the turn"] = result(module)
    guard, module = SpikeGuard("rollback", **slow), Learner(data(180))
    fit(module, guard, strategy=ddp())
    found["no turn"] = result(module, guard)

    skip_list = out / "skip_list.json"
    guard = SpikeGuard("skip", skip_list=skip_list)
    module = Learner(bad, skip_list=skip_list)
    fit(module, guard, strategy=ddp(), max_epochs=2)
    found["skip list"] = result(module, guard)
    torch.save(found, out / f"{trainer.global_rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
