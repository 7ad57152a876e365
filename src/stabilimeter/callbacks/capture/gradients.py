"""Norm of each gradient, in as few kernels as possible, accumulated in float32 or better."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter, is_
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stabilimeter.callbacks.capture.sharding import local_part

HALF_PRECISION = (torch.float16, torch.bfloat16)

_SMALL = 8192
_MANY = 8
"""So many gradients of one shape, each of fewer than `_SMALL` elements, are copied into one tensor first: on a CPU one
copy and one reduction are ten times cheaper than a kernel each."""
_FEW = 16
"""Up to so many norms are left apart until the flush, which saves a small model one kernel per step."""
_MOST_ARRANGEMENTS = 64
_layout = attrgetter("layout")


@dataclass(frozen=True, eq=False)
class Order:
    """Where the norms of the layers stand in a vector of norms; one object for as long as that does not change.

    Attributes:
        places: Index of each layer in the vector, shape (num_layers,); the length of the vector where it has none.
        num_own: The first so many belong to the parameters of the optimizer, the others to further layers.
    """

    places: NDArray[np.intp]
    num_own: int


class TensorNorms(NamedTuple):
    """The norms of the gradients of one step, on the device, as they came.

    Attributes:
        parts: 2-norm of each gradient present: one tensor of shape (num_present,), or so many 0-d tensors.
        order: Which is which.
    """

    parts: Sequence[Tensor]
    order: Order

    @property
    def values(self) -> Tensor:
        """2-norm of each gradient present, shape (num_present,)."""
        return self.parts[0] if self.parts[0].dim() else torch.stack([*self.parts])

    def total(self) -> Tensor:
        """2-norm over all gradients of the optimizer, on the device."""
        total: Tensor = torch.linalg.vector_norm(self.values[: self.order.num_own])
        return total


def totals(rows: NDArray[np.float64], order: Order) -> NDArray[np.float64]:
    """`TensorNorms.total` of many steps, shape (num_steps,), from their values, shape (num_steps, num_present)."""
    own = rows[:, : order.num_own]
    squares: NDArray[np.float64] = np.einsum("ij,ij->i", own, own)
    return np.sqrt(squares)


def by_layer(rows: NDArray[np.float64], order: Order) -> NDArray[np.float64]:
    """The norm of each layer, shape (num_steps, num_layers), 0 where it has none; from the same."""
    found: NDArray[np.float64] = np.pad(rows, ((0, 0), (0, 1)))[:, order.places]
    return found


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
        self._latest: _Arrangement | None = None
        self._clipped: tuple[Sequence[Tensor], Order] | None = None

    def norms(self) -> TensorNorms | None:
        """2-norm of each gradient present (this rank's share of it, if sharded); None if the optimizer has none."""
        norms = None if self._latest is None else self._latest.norms()
        if norms is not None:
            return norms
        present = tuple([p.grad is not None for p in self._parameters])
        self._latest = self._arrangements.get(present)
        if self._latest is None and any(present[: self._num_own]):
            self._latest = self._arranged(present)
        return None if self._latest is None else self._latest.norms()

    def norm(self) -> Tensor | None:
        """2-norm over all gradients of the optimizer present; None if there is none."""
        norms = self.norms()
        return None if norms is None else norms.total()

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
        return TensorNorms((norms,), known[1])

    def _arranged(self, present: tuple[bool, ...]) -> "_Arrangement":
        if len(self._arrangements) == _MOST_ARRANGEMENTS:
            self._arrangements.clear()
        found = [(p, count) for p, count, has in zip(self._parameters, self._holders, present, strict=True) if has]
        absent = [p for p, has in zip(self._parameters, present, strict=True) if not has]
        made = self._arrangements[present] = _Arrangement(found, absent, sum(present[: self._num_own]), self._layers)
        return made


class _Arrangement:
    """Parameters that have a gradient, in groups that one kernel can reduce.

    Args:
        present: Parameters with a gradient, those of the optimizer first, and the number of ranks that hold each.
        absent: Parameters without one.
        num_own: Number of those of the optimizer among the present ones.
        layers: Parameters of the per-tensor norms.
    """

    def __init__(
        self,
        present: Sequence[tuple[Tensor, float]],
        absent: Sequence[Tensor],
        num_own: int,
        layers: Sequence[Tensor],
    ) -> None:
        groups = [*_groups(present[:num_own]), *_groups(present[num_own:])]
        self._present = [p for group in groups for p in group.parameters]
        self._absent = absent
        ends = np.cumsum([0, *(len(group.parameters) for group in groups)]).tolist()
        self._groups = list(zip(groups, map(slice, ends[:-1], ends[1:]), strict=True))
        self._device = groups[0].device
        self._alike = len({(group.device, group.dtype) for group in groups}) == 1
        self._left_apart = len(self._present) <= _FEW and not any(group.side_by_side for group in groups)
        self._order = _order(layers, {id(p): i for i, p in enumerate(self._present)}, len(self._present), num_own)

    def norms(self) -> TensorNorms | None:
        """The norms; None if it is no longer these parameters that have a gradient."""
        gradients: list[Any] = [p.grad for p in self._present]
        types = set(map(type, gradients))
        if type(None) in types or any(p.grad is not None for p in self._absent):
            return None
        plain = types == {Tensor} and set(map(_layout, gradients)) == {torch.strided}
        if not plain:
            gradients = [_local(gradient) for gradient in gradients]
        parts = [part for group, place in self._groups for part in group.norms(gradients[place], plain=plain)]
        if not self._alike:
            parts = [part.to(self._device, torch.float32) for part in parts]
        if len(parts) > 1 and not self._left_apart:
            parts = [torch.cat([part.reshape(-1) for part in parts])]
        return TensorNorms(parts, self._order)


class _Group:
    """Parameters of one device, one type, one number of holders; if ``side_by_side``, also of one shape."""

    def __init__(self, parameters: Sequence[Tensor], holders: float, *, side_by_side: bool) -> None:
        self.parameters = parameters
        self.device = parameters[0].device
        self.dtype = parameters[0].dtype
        self._accumulated_in = torch.float32 if self.dtype in HALF_PRECISION else None
        self._root_holders = math.sqrt(holders)
        self.side_by_side = side_by_side

    def norms(self, gradients: list[Tensor], *, plain: bool) -> Sequence[Tensor]:
        """2-norm of each gradient: one tensor of shape (num_parameters,), or so many 0-d tensors.

        Args:
            gradients: Those of the parameters, in the same order, without the parts that other ranks hold.
            plain: None of them is sparse or of another type than Tensor.
        """
        norms: Sequence[Tensor]
        if self.side_by_side and plain:
            together = torch.cat(gradients).reshape(len(gradients), -1)
            norms = [torch.linalg.vector_norm(together, dim=1, dtype=self._accumulated_in)]
        else:
            norms = torch._foreach_norm(gradients, 2, self._accumulated_in)
            norms = norms if len(norms) <= _FEW else [torch.stack([*norms])]
        return norms if self._root_holders == 1.0 else [norm / self._root_holders for norm in norms]


def _groups(parameters: Sequence[tuple[Tensor, float]]) -> list[_Group]:
    alike: dict[tuple[torch.device, torch.dtype, float], dict[torch.Size, list[Tensor]]] = {}
    for parameter, count in parameters:
        by_shape = alike.setdefault((parameter.device, parameter.dtype, count), {})
        by_shape.setdefault(parameter.shape, []).append(parameter)
    groups = []
    for (_, _, count), by_shape in alike.items():
        rest: list[Tensor] = []
        for shape, members in by_shape.items():
            if len(members) >= _MANY and shape.numel() < _SMALL and shape:
                groups.append(_Group(members, count, side_by_side=True))
            else:
                rest += members
        if rest:
            groups.append(_Group(rest, count, side_by_side=False))
    return groups


def _order(layers: Sequence[Tensor], place: dict[int, int], length: int, num_own: int) -> Order:
    return Order(np.array([place.get(id(p), length) for p in layers], dtype=np.intp), num_own)


def _local(gradient: Tensor) -> Tensor:
    """What this rank holds, as a dense tensor; duplicate entries of a sparse gradient are summed first."""
    return local_part(gradient) if gradient.layout is torch.strided else gradient.coalesce().values()
