"""Running a training step once more as if it had never run."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor
from torchmetrics import Metric, MetricCollection

_LOGGING = ("log", "log_dict")


@contextmanager
def without_trace(module: LightningModule) -> Iterator[None]:
    """Afterwards buffers, metrics and random states are what they were, bit for bit, and nothing was logged.

    Covered are the buffers (batch-norm statistics) and `torchmetrics` metrics of all submodules, ``self.log`` and
    ``self.log_dict``, and the random states of Python, NumPy and torch. What else user code changes is not.
    """
    with ExitStack() as stack:
        stack.enter_context(isolate_rng())
        stack.enter_context(_kept_buffers(module))
        stack.enter_context(_spared_metrics(module))
        stack.enter_context(_silence(module))
        yield


@contextmanager
def _kept_buffers(module: LightningModule) -> Iterator[None]:
    kept = [
        (owner, name, buffer, buffer.detach().clone())
        for owner in module.modules()
        for name, buffer in owner.named_buffers(recurse=False)
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for owner, name, buffer, before in kept:
                buffer.copy_(before)
                if getattr(owner, name) is not buffer:
                    setattr(owner, name, buffer)


@contextmanager
def _spared_metrics(module: LightningModule) -> Iterator[None]:
    """Metrics go on with copies of their states, and get back everything they had."""
    metrics = [m for m in module.modules() if isinstance(m, Metric | MetricCollection)]
    before = [dict(vars(metric)) for metric in metrics]
    for metric in metrics:
        for name, value in metric.metric_state.items() if isinstance(metric, Metric) else ():
            setattr(metric, name, value.clone() if isinstance(value, Tensor) else list(value))
    try:
        yield
    finally:
        for metric, attributes in zip(metrics, before, strict=True):
            vars(metric).clear()
            vars(metric).update(attributes)


@contextmanager
def _silence(module: LightningModule) -> Iterator[None]:
    instance: dict[str, Any] = module.__dict__
    own = {name: instance[name] for name in _LOGGING if name in instance}
    try:
        for name in _LOGGING:
            instance[name] = _say_nothing
        yield
    finally:
        for name in _LOGGING:
            del instance[name]
        instance.update(own)


def _say_nothing(*_: Any, **__: Any) -> None:
    pass
