"""Parameters that live in pieces: what this rank holds, and how often each element is held.

A DTensor (FSDP2, tensor parallelism) is reduced to its local part, and every norm to a local one. The parts meet once
per flush, as a sum of squares over all ranks. An element that several ranks hold would be counted several times there,
so each local norm is divided by the root of the number of holders.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch.strategies import FSDPStrategy
from torch import Tensor

_PLAIN = (torch.Tensor, torch.nn.Parameter)


def is_dtensor(tensor: Tensor) -> bool:
    """Whether ``tensor`` is a DTensor, without importing ``torch.distributed.tensor``."""
    return type(tensor) not in _PLAIN and hasattr(tensor, "to_local") and hasattr(tensor, "placements")


def local_part(tensor: Any) -> Tensor:
    """What this rank holds of ``tensor``; the tensor itself unless it is a DTensor."""
    local: Tensor = tensor.to_local() if is_dtensor(tensor) else tensor
    return local


def is_sharded(parameters: Sequence[Tensor], strategy: Any) -> bool:
    """Whether ranks hold different pieces of the parameters, so that norms must be combined."""
    return isinstance(strategy, FSDPStrategy) or any(is_dtensor(p) for p in parameters)


def holders(parameters: Sequence[Tensor], world_size: int, strategy: Any) -> list[float]:
    """Number of ranks that hold each element, per parameter; 1 for all if nothing is sharded."""
    if not is_sharded(parameters, strategy):
        return [1.0] * len(parameters)
    return [_holders(parameter, world_size, strategy) for parameter in parameters]


def _holders(parameter: Any, world_size: int, strategy: Any) -> float:
    if is_dtensor(parameter):
        mesh = parameter.device_mesh
        shards = math.prod(mesh.size(i) for i, place in enumerate(parameter.placements) if place.is_shard())
        return float(world_size / shards)
    return 1.0 if isinstance(strategy, FSDPStrategy) else float(world_size)


def combined_over_ranks(measured: Tensor, is_norm: Tensor, world_size: int) -> Tensor:
    """Combine one tensor of measurements over all ranks, with one collective.

    Args:
        measured: Local measurements, floating point.
        is_norm: Boolean mask that broadcasts to ``measured``: True for norms of shards (root of the sum of squares),
            False for values to average.
        world_size: Number of ranks.
    """
    total = torch.where(is_norm, measured.square(), measured / world_size)
    torch.distributed.all_reduce(total)
    return torch.where(is_norm, total.sqrt(), total)
