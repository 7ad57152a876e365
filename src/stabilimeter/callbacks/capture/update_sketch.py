"""How far a step moved the parameters, and how large they are, without a second copy of the model.

``||p_after - p_before||`` needs the parameters from before the step. A tensor of at most 65,536 elements is copied
whole; from a larger one about 4096 runs of 16 neighbours (a cache line each) stand for it, scaled to its size. So the
memory taken is bounded per tensor, and a model whose tensors are small is measured exactly; for others
`signals/update_norm.py` states the error.
"""

import math
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

import torch
from torch import Tensor

from stabilimeter.callbacks.capture.sharding import local_part

_RUN = 16
_RUNS = 4096
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
        self._addresses: list[int] | None = None
        self._samples: list[_Sample] = []
        self.update_norm: Tensor | None = None
        self.weight_norm: Tensor | None = None

    def before_step(self) -> None:
        """Remember the parameters as they are now."""
        local = [local_part(p) for p in self._parameters]
        addresses = [p.data_ptr() for p in local]
        if addresses != self._addresses:  # some strategies give parameters new storage; views must follow
            by_device: dict[torch.device, list[tuple[Tensor, float]]] = {}
            for parameter, count in zip(local, self._holders, strict=True):
                if parameter.numel():
                    by_device.setdefault(parameter.device, []).append((parameter.detach(), count))
            self._samples = [_Sample(members) for members in by_device.values()]
            self._addresses = addresses
        for sample in self._samples:
            sample.copy_to_before()

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
    """The sampled elements of the parameters of one device, as views, and buffers for their values."""

    def __init__(self, members: Sequence[tuple[Tensor, float]]) -> None:
        self._whole: list[Tensor] = []
        self._runs: list[Tensor] = []
        of_whole: list[tuple[int, float]] = []
        of_runs: list[tuple[int, float]] = []
        dtype = torch.float32
        for parameter, holders in members:
            flat = _in_memory_order(parameter)
            dtype = torch.promote_types(dtype, flat.dtype)
            if flat.numel() <= _SAMPLE:
                self._whole.append(flat)
                of_whole.append((flat.numel(), 1 / math.sqrt(holders)))
            else:
                runs = _spread_runs(flat, max(parameter.stride()))
                self._runs.append(runs)
                of_runs.append((runs.numel(), math.sqrt(flat.numel() / runs.numel() / holders)))
        device = members[0][0].device
        split = sum(size for size, _ in of_whole)
        total = split + sum(size for size, _ in of_runs)
        self._before, self._after = torch.zeros((2, total), dtype=dtype, device=device)
        self._copies = [(buffer[:split], buffer[split:].view(-1, _RUN)) for buffer in (self._before, self._after)]
        alike = [
            (sum(size for size, _ in run), scale)
            for scale, run in ((scale, list(run)) for scale, run in groupby(of_whole + of_runs, key=itemgetter(1)))
        ]
        sizes = [size for size, _ in alike]
        self._parts = [list(buffer.split(sizes)) for buffer in (self._before, self._after)]
        self._scales = torch.tensor([scale for _, scale in alike], dtype=dtype, device=device)

    def copy_to_before(self) -> None:
        self._copy_to(*self._copies[0])

    def update_and_weight_norm(self) -> tuple[Tensor, Tensor]:
        self._copy_to(*self._copies[1])
        self._after.sub_(self._before)
        weights, updates = (self._scaled_norm(parts) for parts in self._parts)
        return updates, weights

    def _scaled_norm(self, parts: list[Tensor]) -> Tensor:
        """2-norm of the parts of a buffer, each scaled."""
        norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(parts)).mul_(self._scales))
        return norm

    def _copy_to(self, whole: Tensor, runs: Tensor) -> None:
        if self._whole:
            torch.cat(self._whole, out=whole)
        if self._runs:
            torch.cat(self._runs, out=runs)


def _in_memory_order(parameter: Tensor) -> Tensor:
    """``parameter`` as a vector in the order of memory: a view of its storage wherever it has no holes."""
    if parameter.is_complex():
        parameter = torch.view_as_real(parameter)
    strides = parameter.stride()
    return parameter.permute(sorted(range(len(strides)), key=lambda dim: -strides[dim])).view(-1)


def _spread_runs(flat: Tensor, row: int) -> Tensor:
    """Runs of neighbours at equal distances, shape (num_runs, run), a view of ``flat``.

    Runs that all began in the same column of a matrix would see the same few inputs, so the distance between them is
    kept away from whole rows: by the golden ratio, which spreads their columns most evenly.

    Args:
        flat: The elements.
        row: Number of elements of a row.
    """
    distance = flat.numel() // _RUNS
    if distance >= row:
        rows, rest = divmod(distance, row)
        golden = [part for part in (round(0.618 * row), round(0.382 * row)) if part <= rest]
        distance = rows * row + golden[0] if golden else (rows - 1) * row + round(0.618 * row)
    num_runs = (flat.numel() - _RUN) // distance + 1
    return flat.as_strided((num_runs, _RUN), (distance, 1), flat.storage_offset())
