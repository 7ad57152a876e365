"""Is what a checkpoint holds fit to be trained on, or shipped?"""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from stabilimeter.callbacks.capture.sharding import local_part

_MOST_NAMES = 3


def unhealthy_tensors(checkpoint: Mapping[str, Any], parameters: Collection[str]) -> tuple[str, ...]:
    """What is not finite in a checkpoint, or in the part of it that this rank holds, in words; empty if all is well.

    Parameters and the state of optimizers have to be finite. Buffers must not be NaN; an infinity in one may be meant,
    as in the mask of an attention. One pass over the tensors, and one read of each device.

    Args:
        checkpoint: With ``"state_dict"``, and ``"optimizer_states"`` if there are any.
        parameters: Names in the state that are parameters.
    """
    weights: Mapping[str, Any] = checkpoint.get("state_dict") or {}
    named = {name: tensor for name, tensor in weights.items() if isinstance(tensor, Tensor)}
    own = set(parameters)
    broken = _failing({name: (tensor, name in own) for name, tensor in named.items()})
    states = dict(_tensors(checkpoint.get("optimizer_states") or [], "optimizer"))
    stale = _failing({name: (tensor, True) for name, tensor in states.items()})
    found = []
    if broken:
        found.append(f"weights not finite: {_listed(broken)}")
    if stale:
        found.append(f"optimizer state not finite: {_listed(stale)}")
    return tuple(found)


def unhealthy_numbers(numbers: Mapping[str, float]) -> tuple[str, ...]:
    """Which of the named numbers are not finite, in words.

    >>> unhealthy_numbers({"train loss": float("nan"), "val/accuracy": 0.9})
    ('train loss is nan',)
    """
    return tuple(f"{name} is {value}" for name, value in numbers.items() if not math.isfinite(value))


def _failing(tensors: Mapping[str, tuple[Tensor, bool]]) -> list[str]:
    """Names of tensors with a NaN or, where all has to be finite, an infinity."""
    flags: dict[torch.device, list[tuple[str, Tensor]]] = {}
    for name, (tensor, has_to_be_finite) in tensors.items():
        local = local_part(tensor).detach()
        if local.is_floating_point() or local.is_complex():
            wide = local.float() if local.element_size() == 1 else local  # no isfinite for 8 bit
            bad = ~torch.isfinite(wide) if has_to_be_finite else torch.isnan(wide)
            flags.setdefault(local.device, []).append((name, bad.any()))
    return [
        name
        for pairs in flags.values()
        for (name, _), is_bad in zip(pairs, torch.stack([flag for _, flag in pairs]).tolist(), strict=True)
        if is_bad
    ]


def _tensors(item: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(item, Tensor):
        yield name, item
    elif isinstance(item, Mapping):
        for key, part in item.items():
            yield from _tensors(part, f"{name}.{key}")
    elif isinstance(item, list | tuple):
        for number, part in enumerate(item):
            yield from _tensors(part, f"{name}.{number}")


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
