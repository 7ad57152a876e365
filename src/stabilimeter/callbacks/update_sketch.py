"""How far a step moved the parameters, and how large they are, at a small share of the cost of reading them all.

``||p_after - p_before||`` needs a copy of every parameter at every step. A tensor of at most 4096 elements is copied
whole; from a larger one 256 runs of 16 neighbours (a cache line each), spread evenly, stand for it, scaled to its size.
A model whose tensors are all small is therefore measured exactly; for others `signals/update_norm.py` states the error.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from stabilimeter.callbacks.sharding import is_dtensor, local_part

_RUN = 16
_RUNS = 256
_SAMPLE = _RUN * _RUNS


class UpdateSketch:
    """Samples of the parameters of one optimizer before and after a step.

    Attributes:
        update_norm: 2-norm of the change in the last step; None before it.
        weight_norm: 2-norm of the parameters before that step.

    Args:
        parameters: Parameters held by the optimizer.
        holders: Number of ranks that hold each element, per parameter; all 1 if nothing is sharded.
    """

    def __init__(self, parameters: Sequence[Tensor], holders: Sequence[float]) -> None:
        self._parameters = parameters
        self._holders = holders
        self._has_dtensors = any(is_dtensor(p) for p in parameters)
        self._addresses: list[int] | None = None
        self._samples: list[_Sample] = []
        self.update_norm: Tensor | None = None
        self.weight_norm: Tensor | None = None

    def before_step(self) -> None:
        """Remember the parameters as they are now."""
        self.update_norm = self.weight_norm = None
        local = [local_part(p) for p in self._parameters] if self._has_dtensors else self._parameters
        addresses = [p.data_ptr() for p in local]
        if addresses != self._addresses:  # some strategies give parameters new storage; views must follow
            by_device: dict[torch.device, list[tuple[Tensor, float]]] = {}
            for parameter, count in zip(local, self._holders, strict=True):
                by_device.setdefault(parameter.device, []).append((parameter.detach(), count))
            self._samples = [_Sample(members) for members in by_device.values()]
            self._addresses = addresses
        for sample in self._samples:
            sample.before_step()

    def after_step(self) -> None:
        """Compare the parameters with what `before_step` remembered."""
        norms = [sample.update_and_weight_norm() for sample in self._samples]
        if len(norms) == 1:
            self.update_norm, self.weight_norm = norms[0]
        elif norms:
            device = norms[0][0].device
            updates, weights = (torch.stack([norm.to(device) for norm in side]) for side in zip(*norms, strict=True))
            self.update_norm, self.weight_norm = torch.linalg.vector_norm(updates), torch.linalg.vector_norm(weights)


class _Sample:
    """The sampled elements of the parameters of one device, as views, and a buffer for their old values."""

    def __init__(self, members: Sequence[tuple[Tensor, float]]) -> None:
        members = [(_memory_order(parameter), count) for parameter, count in members if parameter.numel()]
        small = [(flat, count) for flat, count in members if flat.numel() <= _SAMPLE]
        large = [(flat, count) for flat, count in members if flat.numel() > _SAMPLE]
        self._whole = [flat for flat, _ in small]
        self._runs = [_evenly_spread_runs(flat) for flat, _ in large]
        dtype = torch.float32
        for flat, _ in members:
            dtype = torch.promote_types(dtype, flat.dtype)
        device = members[0][0].device if members else torch.device("cpu")
        split = sum(flat.numel() for flat in self._whole)
        size = split + _SAMPLE * len(large)
        self._before, self._after = (torch.zeros(size, dtype=dtype, device=device) for _ in range(2))
        self._parts = [(buffer[:split], buffer[split:].view(-1, _RUN)) for buffer in (self._before, self._after)]
        scales = [1 / math.sqrt(count) for flat, count in small for _ in range(flat.numel())]
        scales += [math.sqrt(flat.numel() / _SAMPLE / count) for flat, count in large for _ in range(_SAMPLE)]
        exact = all(scale == 1.0 for scale in scales)
        self._scale = None if exact else torch.tensor(scales, dtype=dtype, device=device)

    def before_step(self) -> None:
        self._copy_to(*self._parts[0])

    def update_and_weight_norm(self) -> tuple[Tensor, Tensor]:
        self._copy_to(*self._parts[1])
        before, after = self._before, self._after
        if self._scale is None:
            return torch.dist(after, before), torch.linalg.vector_norm(before)
        change = after.sub_(before).mul_(self._scale)
        return torch.linalg.vector_norm(change), torch.linalg.vector_norm(before.mul_(self._scale))

    def _copy_to(self, whole: Tensor, runs: Tensor) -> None:
        if self._whole:
            torch.cat(self._whole, out=whole)
        if self._runs:
            torch.cat(self._runs, out=runs)


def _memory_order(parameter: Tensor) -> Tensor:
    """``parameter`` as a vector in the order of memory: a view of its storage wherever it has no holes."""
    if parameter.is_complex():
        parameter = torch.view_as_real(parameter)
    strides = parameter.stride()
    return parameter.permute(sorted(range(len(strides)), key=lambda dim: -strides[dim])).view(-1)


def _evenly_spread_runs(flat: Tensor) -> Tensor:
    """256 runs of 16 neighbours, shape (256, 16), a view of ``flat``."""
    return flat.as_strided((_RUNS, _RUN), (flat.numel() // _RUNS, 1), flat.storage_offset())
