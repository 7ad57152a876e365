"""Norm of each gradient, in as few kernels as possible, accumulated in float32 or better."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import is_

import torch
from torch import Tensor

from stabilimeter.callbacks.capture.sharding import local_part

HALF_PRECISION = (torch.float16, torch.bfloat16)

_SMALL = 8192
_MANY = 8
"""So many gradients of one shape, each of fewer than `_SMALL` elements, are copied into one tensor first: on a CPU one
copy and one reduction are ten times cheaper than a kernel each."""
_MOST_ARRANGEMENTS = 64


@dataclass(frozen=True, eq=False)
class Order:
    """Where the norms of the layers stand in a vector of norms; one object for as long as that does not change.

    Attributes:
        places: Index of each layer in the vector, shape (num_layers,); the length of the vector where it has none.
        num_own: The first so many belong to the parameters of the optimizer, the others to further layers.
    """

    places: Tensor
    num_own: int


@dataclass(frozen=True)
class TensorNorms:
    """The norms of the gradients of one step, on the device, as they came.

    Attributes:
        values: 2-norm of each gradient present, shape (num_present,).
        order: Which is which.
    """

    values: Tensor
    order: Order

    def total(self) -> Tensor:
        """2-norm over all gradients of the optimizer."""
        own = self.values if self.order.num_own == len(self.values) else self.values[: self.order.num_own]
        total: Tensor = torch.linalg.vector_norm(own)
        return total

    def by_layer(self) -> Tensor:
        """The norm of each layer, shape (num_layers,), 0 where it has no gradient."""
        return in_order(self.values[None, :], self.order)[0]


def totals(steps: Sequence[TensorNorms]) -> Tensor:
    """`TensorNorms.total` of many steps, shape (num_steps,), with one kernel for all that have the same order."""
    found: list[Tensor] = []
    for order, run in groupby(steps, key=lambda norms: norms.order):
        rows = torch.stack([norms.values for norms in run])
        found.append(torch.linalg.vector_norm(rows[:, : order.num_own], dim=1))
    return found[0] if len(found) == 1 else torch.cat(found)


def in_order(rows: Tensor, order: Order) -> Tensor:
    """Norms by layer, shape (num_steps, num_layers), from vectors in one order, shape (num_steps, num_present)."""
    return torch.nn.functional.pad(rows, (0, 1))[:, order.places.to(rows.device)]


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
        own = set(map(id, parameters))
        self._parameters = [*parameters, *(p for p in layers if id(p) not in own)]
        self._holders = [*holders, *(1.0 for _ in self._parameters[len(parameters) :])]
        self._num_own = len(parameters)
        self._layers = layers
        self._arrangements: dict[tuple[bool, ...], _Arrangement] = {}
        self._clipped: tuple[Sequence[Tensor], Order] | None = None

    def norms(self) -> TensorNorms | None:
        """2-norm of each gradient present (this rank's share of it, if sharded); None if the optimizer has none."""
        present = tuple([p.grad is not None for p in self._parameters])
        arrangement = self._arrangements.get(present)
        if arrangement is None:
            if not any(present[: self._num_own]):
                return None
            arrangement = self._arranged(present)
        return TensorNorms(arrangement.norms(), arrangement.order)

    def norm(self) -> Tensor | None:
        """2-norm over all gradients of the optimizer present; None if there is none."""
        norms = self.norms()
        return None if norms is None else norms.total()

    def norm_per_tensor(self) -> Tensor | None:
        """2-norm of the gradient of each layer, shape (num_layers,), 0 where it has none; None if there is none."""
        norms = self.norms()
        return None if norms is None else norms.by_layer()

    def known(self, parameters: Sequence[Tensor], norms: Tensor) -> TensorNorms | None:
        """Norms that somebody else has computed of the gradients of ``parameters``.

        None if some of our gradients are not among them.
        """
        known = self._clipped
        if known is None or len(known[0]) != len(parameters) or not all(map(is_, known[0], parameters)):
            place = {id(p): i for i, p in enumerate(parameters)}
            if {id(p) for p in self._parameters if p.grad is not None} != place.keys():
                return None
            known = self._clipped = (parameters, _order(self._layers, place, len(parameters), len(parameters)))
        return TensorNorms(norms, known[1])

    def _arranged(self, present: tuple[bool, ...]) -> "_Arrangement":
        if len(self._arrangements) == _MOST_ARRANGEMENTS:
            self._arrangements.clear()
        found = [(p, count) for p, count, has in zip(self._parameters, self._holders, present, strict=True) if has]
        made = self._arrangements[present] = _Arrangement(found, sum(present[: self._num_own]), self._layers)
        return made


class _Arrangement:
    """Parameters that have a gradient, in groups that one kernel can reduce.

    Attributes:
        order: Where each layer stands in `norms`.

    Args:
        parameters: The parameters, those of the optimizer first, and the number of ranks that hold each.
        num_own: Number of those of the optimizer.
        layers: Parameters of the per-tensor norms.
    """

    def __init__(self, parameters: Sequence[tuple[Tensor, float]], num_own: int, layers: Sequence[Tensor]) -> None:
        self._groups = [*_groups(parameters[:num_own]), *_groups(parameters[num_own:])]
        self._device = self._groups[0].device
        self._alike = len({(group.device, group.dtype) for group in self._groups}) == 1
        arranged = [id(p) for group in self._groups for p in group.parameters]
        self.order = _order(layers, {of: i for i, of in enumerate(arranged)}, len(arranged), num_own)

    def norms(self) -> Tensor:
        parts = [group.norms() for group in self._groups]
        if not self._alike:
            parts = [part.to(self._device, torch.float32) for part in parts]
        return parts[0] if len(parts) == 1 else torch.cat(parts)


class _Group:
    """Parameters of one device, one type, one number of holders; if ``stacked``, also of one shape."""

    def __init__(self, parameters: Sequence[Tensor], holders: float, *, stacked: bool) -> None:
        self.parameters = parameters
        self.device = parameters[0].device
        self.dtype = parameters[0].dtype
        self._accumulated_in = torch.float32 if self.dtype in HALF_PRECISION else None
        self._root_holders = math.sqrt(holders)
        self._stacked = stacked

    def norms(self) -> Tensor:
        """2-norm of each gradient, shape (num_parameters,)."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        plain = all(type(g) is Tensor and g.layout is torch.strided for g in gradients)
        if not plain:
            gradients = [_local(gradient) for gradient in gradients]
        if self._stacked and plain:
            together = torch.stack(gradients).view(len(gradients), -1)
            norms: Tensor = torch.linalg.vector_norm(together, dim=1, dtype=self._accumulated_in)
        else:
            norms = torch.stack(torch._foreach_norm(gradients, 2, self._accumulated_in))
        return norms if self._root_holders == 1.0 else norms / self._root_holders


def _groups(parameters: Sequence[tuple[Tensor, float]]) -> list[_Group]:
    alike: dict[tuple[torch.device, torch.dtype, float], dict[torch.Size, list[Tensor]]] = {}
    for parameter, count in parameters:
        by_shape = alike.setdefault((parameter.device, parameter.dtype, count), {})
        by_shape.setdefault(parameter.shape, []).append(parameter)
    groups = []
    for (_, _, count), by_shape in alike.items():
        rest: list[Tensor] = []
        for shape, members in by_shape.items():
            if len(members) >= _MANY and shape.numel() < _SMALL:
                groups.append(_Group(members, count, stacked=True))
            else:
                rest += members
        if rest:
            groups.append(_Group(rest, count, stacked=False))
    return groups


def _order(layers: Sequence[Tensor], place: dict[int, int], length: int, num_own: int) -> Order:
    return Order(torch.tensor([place.get(id(p), length) for p in layers], dtype=torch.long), num_own)


def _local(gradient: Tensor) -> Tensor:
    """What this rank holds, as a dense tensor; duplicate entries of a sparse gradient are summed first."""
    return local_part(gradient) if gradient.layout is torch.strided else gradient.coalesce().values()
