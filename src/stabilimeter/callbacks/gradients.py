"""Norms of gradients in as few kernels as possible, accumulated in float32 or better."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch._utils import _flatten_dense_tensors

from stabilimeter.callbacks.sharding import local_part

_SMALL = 8192
"""Gradients of fewer elements are copied into one vector first: 1024 kernels cost more than one copy."""

HALF_PRECISION = (torch.float16, torch.bfloat16)


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
        self._layers = layers
        self._layer_weights = dict(zip(map(id, parameters), holders, strict=True))
        groups: dict[float, tuple[list[Tensor], list[Tensor]]] = {}
        for parameter, count in zip(parameters, holders, strict=True):
            small, large = groups.setdefault(count, ([], []))
            (small if local_part(parameter.detach()).numel() < _SMALL else large).append(parameter)
        self._groups = groups

    def norm(self) -> Tensor | None:
        """2-norm over all gradients present (this rank's share of it, if sharded); None if there is none."""
        parts: list[Tensor] = []
        for count, (small, large) in self._groups.items():
            norms = _norms_of_flattened([p.grad for p in small if p.grad is not None])
            norms += norms_of([p.grad for p in large if p.grad is not None])
            parts += norms if count == 1.0 else [norm / math.sqrt(count) for norm in norms]
        return _norm_of_norms(parts)

    def norm_per_tensor(self) -> Tensor | None:
        """2-norm of each gradient, shape (num_layers,), 0 where a parameter has none; None if none has."""
        present = [p for p in self._layers if p.grad is not None]
        norms = norms_of([p.grad for p in present if p.grad is not None])
        if not norms:
            return None
        device = norms[0].device
        for i, parameter in enumerate(present):
            count = self._layer_weights.get(id(parameter), 1.0)
            norm = norms[i].to(device, torch.float32)
            norms[i] = norm if count == 1.0 else norm / math.sqrt(count)
        if len(present) == len(self._layers):
            return torch.stack(norms)
        absent = torch.zeros_like(norms[0])
        known = iter(norms)
        return torch.stack([absent if p.grad is None else next(known) for p in self._layers])


def norms_of(gradients: Sequence[Tensor]) -> list[Tensor]:
    """2-norm of each gradient as a 0-d tensor, in order; float32 for half-precision gradients."""
    dense = [_dense(gradient) for gradient in gradients]
    by_kind: dict[tuple[torch.device, torch.dtype], list[int]] = {}
    for i, gradient in enumerate(dense):
        by_kind.setdefault((gradient.device, gradient.dtype), []).append(i)
    norms: list[Tensor] = [*dense]
    for (_, dtype), where in by_kind.items():
        wide = torch.float32 if dtype in HALF_PRECISION else None
        for i, norm in zip(where, torch._foreach_norm([dense[i] for i in where], 2, wide), strict=True):
            norms[i] = norm
    return norms


def _norms_of_flattened(gradients: Sequence[Tensor]) -> list[Tensor]:
    """2-norms of groups of small gradients, each group laid into one vector."""
    by_kind: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
    for gradient in gradients:
        gradient = _dense(gradient)
        by_kind.setdefault((gradient.device, gradient.dtype), []).append(gradient)
    norms = []
    for (_, dtype), members in by_kind.items():
        flat: Tensor = _flatten_dense_tensors(members)  # type: ignore[no-untyped-call]
        norms.append(torch.linalg.vector_norm(flat, dtype=torch.float32 if dtype in HALF_PRECISION else None))
    return norms


def _norm_of_norms(norms: Sequence[Tensor]) -> Tensor | None:
    if not norms:
        return None
    if len(norms) == 1:
        return norms[0]
    first = norms[0]
    total: Tensor = torch.linalg.vector_norm(torch.stack([norm.to(first.device, first.dtype) for norm in norms]))
    return total


def _dense(gradient: Tensor) -> Tensor:
    """The values of ``gradient`` that this rank holds; duplicate entries of a sparse one are summed first."""
    if gradient.layout is not torch.strided:
        return gradient.coalesce().values()
    gradient = local_part(gradient)
    return torch.view_as_real(gradient) if gradient.is_complex() else gradient
