"""What `overhead.py` trains: four models that are hard in different ways."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import nn


class Task(LightningModule):
    """A network, an AdamW, a loss."""

    def __init__(self, net: nn.Module, fused: bool = False) -> None:
        super().__init__()
        self.net = net
        self.fused = fused

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        """Cross-entropy."""
        x, y = batch
        return nn.functional.cross_entropy(self.net(x).flatten(0, -2), y.flatten())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=1e-4, fused=self.fused or None)


class Transformer(nn.Module):
    """Six pre-norm blocks of width 256."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(256, 256)
        layer = nn.TransformerEncoderLayer(256, 4, 1024, dropout=0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
        self.head = nn.Linear(256, 256)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits per token."""
        return self.head(self.blocks(self.embed(x)))


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut, as in ResNet-18."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Feature maps."""
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet(width: int = 16) -> nn.Module:
    """ResNet-18 at a quarter of its width."""
    widths = [width, width, 2 * width, 4 * width, 8 * width]
    blocks: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    for i, (inputs, outputs) in enumerate(pairwise(widths)):
        blocks += [ResidualBlock(inputs, outputs, 1 if i == 0 else 2), ResidualBlock(outputs, outputs, 1)]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, 10))


Batch = tuple[torch.Tensor, torch.Tensor]


def mlp_task() -> tuple[LightningModule, Batch]:
    """Four tensors; the step is all Python."""
    net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    return Task(net), (torch.randn(32, 64), torch.randint(10, (32,)))


def transformer_task() -> tuple[LightningModule, Batch]:
    """75 tensors, 128 tokens a step: few, so that reading the parameters weighs as much as it ever does."""
    return Task(Transformer()), (torch.randint(256, (1, 128)), torch.randint(256, (1, 128)))


def resnet_task() -> tuple[LightningModule, Batch]:
    """62 tensors, 32 images of 32 x 32."""
    return Task(resnet()), (torch.randn(32, 3, 32, 32), torch.randint(10, (32,)))


def many_task() -> tuple[LightningModule, Batch]:
    """1024 small tensors."""
    net = nn.Sequential(*[nn.Linear(16, 16) for _ in range(512)])
    return Task(net, fused=True), (torch.randn(32, 16), torch.randint(16, (32,)))


TASKS: dict[str, tuple[Callable[[], tuple[LightningModule, Batch]], int]] = {
    "mlp": (mlp_task, 100),
    "transformer": (transformer_task, 2),
    "resnet": (resnet_task, 2),
    "many": (many_task, 2),
}
"""Per model its task and the number of steps in a block."""
