"""Norms of gradients in as few kernels as possible, accumulated in float32 or better."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch._utils import _flatten_dense_tensors

from stabilimeter.callbacks.sharding import is_dtensor, local_part

HALF_PRECISION = (torch.float16, torch.bfloat16)

_SMALL = 8192
"""Gradients of fewer elements are copied into one vector first: one copy is cheaper than 1024 kernels."""


class Gradients:
    """The gradients of the parameters of one optimizer.

    Half-precision gradients are accumulated in float32, where a norm of 1e5 does not overflow. A sharded gradient
    counts with its local part only; see `sharding.py`.

    Args:
        parameters: Parameters held by the optimizer.
        holders: Number of ranks that hold each element, per parameter; all 1 if nothing is sharded.
        layers: Parameters of the per-tensor norms, in the order of their names.
    """

    def __init__(self, parameters: Sequence[Tensor], holders: Sequence[float], layers: Sequence[Tensor]) -> None:
        count_of = dict(zip(map(id, parameters), holders, strict=True))
        self._groups = [_Group(members, count) for members, count in _alike(parameters, holders)]
        self._layers = layers
        self._layer_groups = [
            _Group(members, count) for members, count in _alike(layers, [count_of.get(id(p), 1.0) for p in layers])
        ]

    def norm(self) -> Tensor | None:
        """2-norm over all gradients present (this rank's share of it, if sharded); None if there is none."""
        norms = [norm for group in self._groups for norm in group.norms()]
        if len(norms) < 2:
            return norms[0] if norms else None
        if len(self._groups) > 1:
            norms = [norm.to(norms[0].device, torch.float32) for norm in norms]
        total: Tensor = torch.linalg.vector_norm(torch.stack(norms))
        return total

    def norm_per_tensor(self) -> Tensor | None:
        """2-norm of each gradient, shape (num_layers,), 0 where a parameter has none; None if none has."""
        found = {key: norm for group in self._layer_groups for key, norm in group.norm_of_each()}
        if not found:
            return None
        device = next(iter(found.values())).device
        absent = torch.zeros((), device=device)
        return torch.stack([found[id(p)].to(device, torch.float32) if id(p) in found else absent for p in self._layers])


class _Group:
    """Parameters of one device, one type, and one number of holders."""

    def __init__(self, parameters: Sequence[Tensor], holders: float) -> None:
        self._parameters = parameters
        sizes = [local_part(p.detach()).numel() for p in parameters]
        self._small = [p for p, size in zip(parameters, sizes, strict=True) if size < _SMALL]
        self._large = [p for p, size in zip(parameters, sizes, strict=True) if size >= _SMALL]
        self._has_dtensors = any(is_dtensor(p) for p in parameters)
        self._accumulated_in = torch.float32 if parameters[0].dtype in HALF_PRECISION else None
        self._root_holders = math.sqrt(holders)

    def norms(self) -> list[Tensor]:
        """Norms whose squares add up to that of the group: one for all small gradients, one per large one."""
        norms: list[Tensor] = []
        small = self._local([p.grad for p in self._small if p.grad is not None])
        if small:
            flat: Tensor = _flatten_dense_tensors(small)  # type: ignore[no-untyped-call]
            norms.append(torch.linalg.vector_norm(flat, dtype=self._accumulated_in))
        large = self._local([p.grad for p in self._large if p.grad is not None])
        if large:
            norms += torch._foreach_norm(large, 2, self._accumulated_in)
        return norms if self._root_holders == 1.0 else [norm / self._root_holders for norm in norms]

    def norm_of_each(self) -> list[tuple[int, Tensor]]:
        """``id`` of each parameter with a gradient, and the norm of that."""
        present = [p for p in self._parameters if p.grad is not None]
        if not present:
            return []
        gradients = self._local([p.grad for p in present if p.grad is not None])
        norms = torch._foreach_norm(gradients, 2, self._accumulated_in)
        return [(id(p), norm / self._root_holders) for p, norm in zip(present, norms, strict=True)]

    def _local(self, gradients: list[Tensor]) -> list[Tensor]:
        """What this rank holds, as dense tensors; duplicate entries of a sparse gradient are summed first."""
        if not self._has_dtensors and all(gradient.layout is torch.strided for gradient in gradients):
            return gradients
        return [
            local_part(gradient) if gradient.layout is torch.strided else gradient.coalesce().values()
            for gradient in gradients
        ]


def _alike(parameters: Sequence[Tensor], holders: Sequence[float]) -> list[tuple[list[Tensor], float]]:
    groups: dict[tuple[torch.device, torch.dtype, float], list[Tensor]] = {}
    for parameter, count in zip(parameters, holders, strict=True):
        groups.setdefault((parameter.device, parameter.dtype, count), []).append(parameter)
    return [(members, count) for (_, _, count), members in groups.items()]
