"""What monitoring costs per training step, measured beside its peers.

Each variant is a live ``Trainer.fit`` in a thread of its own, stopped inside its data iterator. Blocks of steps run
round robin in shuffled order, one at a time, so that a slow spell of the machine hits all variants alike. A bare
Trainer runs twice: the ratio of the two says what the measurement can resolve. Per round each variant's CPU time is
divided by the mean of the two bare ones; printed are the median over rounds and a bootstrap interval of it.

A block of a slow model is shorter than the interval between two flushes, and a median leaves out what most blocks do
not do; "mean" is the ratio of the sums, which leaves out nothing but is noisier.

    python benchmarks/overhead.py                      # every model, a few minutes each
    python benchmarks/overhead.py mlp --rounds 30
    python benchmarks/overhead.py --more-signals       # each group that is off by default, over the default ones
"""

import argparse
import logging
import random
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import grad_norm
from torch import nn

from stabilimeter.callbacks.catalogue import CATALOGUE
from stabilimeter.callbacks.monitor import StabilityMonitor


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


class Lane:
    """One fit, which runs only while it is asked to."""

    def __init__(self, name: str, task: Callable[[], tuple[LightningModule, Batch]], arguments: dict[str, Any]) -> None:
        self.name = name
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._steps = 0
        self.stopping = False
        self.seconds: list[float] = []
        self._thread = threading.Thread(target=self._fit, args=(task, arguments), daemon=True)
        self._thread.start()

    def _batches(self, batch: Batch) -> Iterator[Batch]:
        while True:
            self._go.acquire()
            if self.stopping:
                return
            start = time.thread_time()
            for _ in range(self._steps):
                yield batch
            self.seconds.append(time.thread_time() - start)
            self._done.release()

    def _fit(self, task: Callable[[], tuple[LightningModule, Batch]], arguments: dict[str, Any]) -> None:
        module, batch = task()
        trainer = Trainer(
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            max_epochs=1,
            **arguments,
        )
        lane = self

        class Stream(torch.utils.data.IterableDataset[Batch]):
            def __iter__(self) -> Iterator[Batch]:
                return lane._batches(batch)

        trainer.fit(module, torch.utils.data.DataLoader(Stream(), batch_size=None))

    def run(self, steps: int) -> None:
        """Take ``steps`` steps, and wait for them."""
        self._steps = steps
        self._go.release()
        self._done.acquire()

    def stop(self) -> None:
        """End the fit."""
        self.stopping = True
        self._go.release()
        self._thread.join()


def variants(folder: Path) -> dict[str, Callable[[], dict[str, Any]]]:
    """Name and Trainer arguments of everything that is compared; the first two are the A/A control."""
    return {
        "bare": dict,
        "bare again": dict,
        "StabilityMonitor": lambda: {"callbacks": [StabilityMonitor(dirpath=folder / "a")]},
        "StabilityMonitor, all at every step": lambda: {
            "callbacks": [StabilityMonitor(dirpath=folder / "b", strided_every_n_steps=1)]
        },
        "clipping": lambda: {"gradient_clip_val": 1.0},
        "clipping + StabilityMonitor": lambda: {
            "gradient_clip_val": 1.0,
            "callbacks": [StabilityMonitor(dirpath=folder / "c")],
        },
        "one self.log": lambda: {"callbacks": [LogLoss()]},
        "norms as Composer takes them": lambda: {"callbacks": [ComposerNorms()]},
        "grad_norm + log_dict": lambda: {"callbacks": [LogGradNorm()]},
    }


def more_signals(folder: Path) -> dict[str, Callable[[], dict[str, Any]]]:
    """Each group of signals that is off by default, added to the default ones."""

    def monitored(*names: str, **arguments: Any) -> Callable[[], dict[str, Any]]:
        path = folder / "-".join(["record", *names, *arguments])
        return lambda: {"callbacks": [StabilityMonitor(["default", *names], dirpath=path)], **arguments}

    alone = [name for name in CATALOGUE if name not in ("default", "noise_scale")]
    return {
        "bare": dict,
        "bare again": dict,
        "StabilityMonitor": monitored(),
        **{f"+ {name}": monitored(name) for name in alone},
        "accumulating 2 batches": monitored(accumulate_grad_batches=2),
        "+ noise_scale, accumulating 2": monitored("noise_scale", accumulate_grad_batches=2),
    }


BASES = {
    "clipping + StabilityMonitor": "clipping",
    **{f"+ {name}": "StabilityMonitor" for name in CATALOGUE},
    "+ noise_scale, accumulating 2": "accumulating 2 batches",
}
"""What a variant is compared with, if not with the bare Trainer."""


def measured(model: str, rounds: int, ways: dict[str, Callable[[], dict[str, Any]]]) -> dict[str, np.ndarray]:
    """Seconds of CPU time per step, one value per round, of each variant."""
    task, block = TASKS[model]
    torch.manual_seed(0)
    lanes = [Lane(name, task, make()) for name, make in ways.items()]
    order = random.Random(0)
    for number in range(rounds + 1):  # the first round warms up
        for lane in order.sample(lanes, len(lanes)):
            lane.run(max(block, 10) if number == 0 else block)
    for lane in lanes:
        lane.stop()
    return {lane.name: np.array(lane.seconds[1:]) / block for lane in lanes}


def median_with_interval(ratios: np.ndarray, rng: np.random.Generator) -> tuple[float, float, float]:
    """Median, and the central 90 % of the medians of resampled rounds."""
    medians = np.median(rng.choice(ratios, (2000, len(ratios))), axis=1)
    low, high = np.quantile(medians, [0.05, 0.95])
    return float(np.median(ratios)), float(low), float(high)


def report(model: str, seconds: dict[str, np.ndarray]) -> None:
    """Print one table."""
    rng = np.random.default_rng(0)
    base = (seconds["bare"] + seconds["bare again"]) / 2
    print(f"\n{model}: {1e3 * np.median(base):.2f} ms of CPU time per bare step, {len(base)} rounds")
    for name, times in seconds.items():
        against = seconds[BASES[name]] if name in BASES else base
        middle, low, high = median_with_interval(times / against, rng)
        note = f"   (over {BASES[name]})" if name in BASES else ""
        mean = times.sum() / against.sum()
        print(f"  {name:<36} {middle:6.3f}  ({low:.3f} to {high:.3f})   mean {mean:.3f}{note}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("models", nargs="*", default=list(TASKS), help=f"any of {', '.join(TASKS)}")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--more-signals", action="store_true", help="the signals that are off by default")
    options = parser.parse_args()
    unknown = set(options.models) - set(TASKS)
    if unknown or options.rounds < 3:
        parser.error(f"models are {', '.join(TASKS)} and rounds at least 3, got {options.models}, {options.rounds}")
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    for model in options.models:
        with tempfile.TemporaryDirectory() as folder:
            ways = (more_signals if options.more_signals else variants)(Path(folder))
            report(model, measured(model, options.rounds, ways))


if __name__ == "__main__":
    sys.exit(main())
