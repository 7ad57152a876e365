"""What `SpikeGuard` cannot guard, refused before the first step."""

import os
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, SingleDeviceStrategy
from torch.utils.data import DataLoader

from stabilimeter.callbacks.skip_list import SkippingSampler

_STRATEGIES = (SingleDeviceStrategy, DDPStrategy, ModelParallelStrategy)


def check_supported(trainer: Trainer) -> None:
    """Refuse what would be guarded wrongly.

    Raises:
        MisconfigurationException: If the strategy or an optimizer is not supported.
    """
    if not isinstance(trainer.strategy, _STRATEGIES):
        raise MisconfigurationException(
            f"SpikeGuard does not know {type(trainer.strategy).__name__}: it can measure gradients and leave out a "
            "step on a single device, under DDP and under FSDP2 (ModelParallelStrategy). Use one of these, or no guard."
        )
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    for optimizer in trainer.optimizers:
        if isinstance(optimizer, torch.optim.LBFGS):
            raise MisconfigurationException(
                "SpikeGuard cannot guard LBFGS, which evaluates the loss several times within one step. "
                "Use another optimizer, or no SpikeGuard."
            )
        if scaler is not None and any(group.get("fused") for group in optimizer.param_groups):
            raise MisconfigurationException(
                "SpikeGuard cannot read the gradients of a fused optimizer under a gradient scaler: they are unscaled "
                "inside of its step. Use fused=False, precision='bf16-mixed', or no SpikeGuard."
            )


def skipping_loader(trainer: Trainer, skip_list: str | os.PathLike[str]) -> "DataLoader[Any]":
    """The training loader, whose sampler honours ``skip_list``.

    Raises:
        MisconfigurationException: If it does not, or if nobody can tell which samples a batch holds.
    """
    loader = trainer.train_dataloader
    sampler = getattr(loader, "sampler", None)
    if not isinstance(loader, DataLoader) or not isinstance(sampler, SkippingSampler):
        raise MisconfigurationException(
            f"SpikeGuard(skip_list={os.fspath(skip_list)!r}) needs a training DataLoader(..., sampler=SkippingSampler("
            f"sampler, {os.fspath(skip_list)!r})), got {type(loader).__name__} with {type(sampler).__name__}. "
            "Under DDP wrap a DistributedSampler and set Trainer(use_distributed_sampler=False)."
        )
    if sampler.skip_list is None or os.path.realpath(sampler.skip_list) != os.path.realpath(skip_list):
        reads = "none" if sampler.skip_list is None else repr(str(sampler.skip_list))
        raise MisconfigurationException(
            f"SpikeGuard writes the skip list {os.fspath(skip_list)!r}, the SkippingSampler reads {reads}. "
            "Give both the same path."
        )
    if not _knows_its_batches(loader):
        raise MisconfigurationException(
            "SpikeGuard(skip_list=...) must know which samples a batch holds: it needs a DataLoader with a batch_size "
            "and without a state of its own (a resumed StatefulDataLoader starts in the middle of an epoch)."
        )
    return loader


def rewindable_loader(trainer: Trainer) -> "DataLoader[Any] | None":
    """The training loader, if its sampler can draw batches again and nobody else keeps its position; else None."""
    loader = trainer.train_dataloader
    if not isinstance(loader, DataLoader) or not isinstance(loader.sampler, SkippingSampler):
        return None
    return loader if _knows_its_batches(loader) else None


def _knows_its_batches(loader: "DataLoader[Any]") -> bool:
    return loader.batch_size is not None and not hasattr(loader, "load_state_dict")
