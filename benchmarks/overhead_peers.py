"""Other ways to watch a training run, as their users have them."""

from collections import deque
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks.spike import SpikeDetection
from lightning.pytorch.utilities import grad_norm


class LogGradNorm(Callback):
    """Lightning's recipe from its documentation."""

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """Log a norm per parameter."""
        pl_module.log_dict(grad_norm(pl_module, norm_type=2))


class LogLoss(Callback):
    """One ``self.log`` per step."""

    def on_train_batch_end(self, trainer: Any, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        """Log the loss."""
        pl_module.log("loss", outputs["loss"])


class ComposerNorms(Callback):
    """What Composer's OptimizerMonitor does at every batch: a norm per parameter, read back one by one."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """Read a norm per parameter."""
        norms = {n: torch.linalg.vector_norm(p.grad) for n, p in pl_module.named_parameters() if p.grad is not None}
        norms["global"] = torch.stack(list(norms.values())).square().sum().sqrt()
        self.last = {name: norm.item() for name, norm in norms.items()}


class NormsAlone(Callback):
    """The floor: one norm per gradient in a single call, left on the device, and nothing else."""

    on_train_batch_start = on_train_batch_end = on_before_backward = on_after_backward = on_before_zero_grad = None

    def __init__(self) -> None:
        self.last: torch.Tensor | None = None

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """Take the norms."""
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"]]
        self.last = torch.stack(torch._foreach_norm(gradients))


class OlmoRule(Callback):
    """OLMo-core's StabilityMonitor: loss and gradient norm beyond six deviations of the last 128 are spikes."""

    def __init__(self) -> None:
        self.losses: deque[float] = deque(maxlen=128)
        self.norms: deque[float] = deque(maxlen=128)
        self.spikes = 0

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        """Judge the norm."""
        self._judge(self.norms, torch.nn.utils.get_total_norm([p.grad for p in pl_module.parameters()]).item())

    def on_train_batch_end(self, trainer: Any, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        """Judge the loss."""
        self._judge(self.losses, outputs["loss"].item())

    def _judge(self, window: deque[float], value: float) -> None:
        if len(window) == window.maxlen:
            deviation, mean = torch.std_mean(torch.tensor(window))
            self.spikes += bool(value > mean + 6 * deviation)
        window.append(value)


class QuietSpikeDetection(SpikeDetection):
    """Lightning's, which would end the fit at the first spike."""

    def _handle_spike(self, fabric: Any, batch_idx: int) -> None:
        pass
