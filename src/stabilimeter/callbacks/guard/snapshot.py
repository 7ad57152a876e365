"""The state of training in memory, so that a fit can go back to it."""

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from stabilimeter.callbacks.capture.sharding import is_dtensor, local_part
from stabilimeter.callbacks.guard.samples import Position


class Snapshot:
    """Everything that a rollback restores, copied to host memory: of sharded tensors what this rank holds.

    It holds parameters and buffers of the module, optimizers, learning-rate schedules, gradient scaler and the random
    states of Python, NumPy, PyTorch and this process's CUDA device. It does not hold what Lightning offers no public
    way to put back during a fit: loop counters (``global_step`` goes on), metrics under way, loggers and the state of
    other callbacks; nor the position of the data loader, but where that was.

    Args:
        trainer: The Trainer.
        module: Its module.
        position: Where the data are.
        extra: State of the caller, returned by `restore`.

    Attributes:
        step: Optimizer steps done.
        position: See above.
    """

    def __init__(self, trainer: Trainer, module: LightningModule, position: Position, extra: Any) -> None:
        self.step = trainer.global_step
        self.position = position
        self._extra = extra
        self._tensors = [_copied(local_part(tensor)) for tensor in _tensors_of(module)]
        self._optimizers = [_copied(optimizer.state_dict()) for optimizer in trainer.optimizers]
        self._schedules = [_copied(config.scheduler.state_dict()) for config in trainer.lr_scheduler_configs]
        self._scaler = dict(trainer.precision_plugin.state_dict())
        self._random = _random_states(trainer.strategy.root_device)

    @torch.no_grad()
    def restore(self, trainer: Trainer, module: LightningModule) -> Any:
        """Put everything back; the snapshot can be used again. Returns a copy of the caller's state."""
        for tensor, saved in zip(_tensors_of(module), self._tensors, strict=True):
            local_part(tensor).copy_(saved)
        for optimizer, saved in zip(trainer.optimizers, self._optimizers, strict=True):
            optimizer.load_state_dict(_with_shards(saved))
            optimizer.zero_grad(set_to_none=True)
        for config, saved in zip(trainer.lr_scheduler_configs, self._schedules, strict=True):
            config.scheduler.load_state_dict(_copied(saved))
        trainer.precision_plugin.load_state_dict(dict(self._scaler))
        _set_random_states(self._random, trainer.strategy.root_device)
        return _copied(self._extra)


def _tensors_of(module: LightningModule) -> Sequence[Tensor]:
    return [*(p.detach() for p in module.parameters()), *module.buffers()]


class _Shard(NamedTuple):
    """A DTensor, its local part on the host."""

    local: Tensor
    device: torch.device
    mesh: Any
    placements: Any
    shape: torch.Size
    stride: tuple[int, ...]

    @classmethod
    def of(cls, tensor: Any) -> "_Shard":
        local = tensor.to_local()
        host = local.to("cpu", copy=True)
        return cls(host, local.device, tensor.device_mesh, tensor.placements, tensor.shape, tensor.stride())

    def whole(self) -> Tensor:
        from torch.distributed.tensor import DTensor  # not in every build of PyTorch

        local = self.local.to(self.device, copy=True)
        return DTensor.from_local(
            local, self.mesh, self.placements, run_check=False, shape=self.shape, stride=self.stride
        )


def _copied(item: Any) -> Any:
    """A deep copy of nested dictionaries and lists whose tensors go to the host."""
    if isinstance(item, Tensor):
        return _Shard.of(item.detach()) if is_dtensor(item) else item.detach().to("cpu", copy=True)
    return _mapped(_copied, item)


def _with_shards(item: Any) -> Any:
    """A deep copy of what `_copied` has made, whose shards are DTensors again."""
    if isinstance(item, Tensor):
        return item.clone()
    return item.whole() if isinstance(item, _Shard) else _mapped(_with_shards, item)


def _mapped(function: Callable[[Any], Any], item: Any) -> Any:
    if isinstance(item, dict):
        return type(item)((key, function(value)) for key, value in item.items())
    return type(item)(map(function, item)) if type(item) in (list, tuple) else item


def _random_states(device: torch.device) -> dict[str, Any]:
    numpy_state = np.random.get_state()  # noqa: NPY002 (user code may draw from the global one)
    states = {"python": random.getstate(), "numpy": numpy_state, "torch": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _set_random_states(states: dict[str, Any], device: torch.device) -> None:
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
