"""Small real training runs that go wrong by themselves, and healthy twins: nothing is planted.

Each family trains `char_gpt` (on Python's help texts) or the digits CNN in a way that people train by mistake. Whether
and when a run goes wrong is not known beforehand; `organic_onset` says so afterwards, from what followed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning import LightningDataModule, LightningModule
from lightning.pytorch import Trainer, seed_everything
from torch import Tensor, nn
from torch.optim import SGD, AdamW
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import TensorDataset

from stabilimeter import StabilityMonitor, read_run
from stabilimeter.experiments.char_gpt import Block, CharGPT, HelpTopics
from stabilimeter.experiments.digits import DigitsCNN, DigitsData
from stabilimeter.records.manifest import RunStatus
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.run import Run

CLOSED = (RunStatus.COMPLETED, RunStatus.DIVERGED)
HEALTHY, NOISY = "healthy", "noisy"
"""Families whose runs are meant to be healthy; every other name is that of a mistake."""


@dataclass(frozen=True)
class Family:
    """One way of training.

    Attributes:
        name: What it is called; begins with ``healthy`` or ``noisy`` if nothing is wrong with it.
        model: Makes the module.
        data: Makes the data.
        steps: Optimizer steps.
        seeds: Number of seeds.
    """

    name: str
    model: Callable[[], LightningModule]
    data: Callable[[], LightningDataModule]
    steps: int = 500
    seeds: int = 4


class PostNormBlock(Block):
    """The same block with the norms after the residual sums, as in the first transformers."""

    def forward(self, x: Tensor) -> Tensor:
        """Features in, features out (batch, length, width)."""
        x = self.attention_norm(x + self.attention(x))
        mixed: Tensor = self.mlp_norm(x + self.mlp(x))
        return mixed


class OrganicGPT(CharGPT):
    """`CharGPT` trained by other schedules, with other norms.

    Args:
        lr: Learning rate after the warm-up.
        warmup_steps: Steps of linear warm-up.
        norm: ``"pre"``, ``"post"`` or ``"none"``.
        ramp: Factor by which the rate has grown, exponentially, at the end of the run.
        ramp_steps: Length of that.
        beta2: Of AdamW.
    """

    def __init__(
        self,
        lr: float = 0.003,
        warmup_steps: int = 50,
        norm: str = "pre",
        ramp: float = 1.0,
        ramp_steps: int = 500,
        beta2: float = 0.95,
    ) -> None:
        super().__init__(lr, warmup_steps, width=32, depth=2, num_heads=4, max_length=32)
        self.ramp, self.ramp_steps, self.beta2 = ramp, ramp_steps, beta2
        if norm == "none":
            self.norm = nn.Identity()  # type: ignore[assignment]
            for block in self.blocks:
                block.attention_norm = block.mlp_norm = nn.Identity()
        if norm == "post":
            self.blocks = nn.Sequential(*[PostNormBlock(32, 4) for _ in range(2)])

    def configure_optimizers(self) -> dict[str, object]:  # type: ignore[override]
        """AdamW, warmed up and then ramped."""
        optimizer = AdamW(self.parameters(), lr=self.lr, betas=(0.9, self.beta2), weight_decay=self.weight_decay)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": self._schedule(optimizer), "interval": "step"}}

    def _schedule(self, optimizer: AdamW) -> LambdaLR:
        def factor(step: int) -> float:
            ramped: float = self.ramp ** min(1.0, step / self.ramp_steps)
            return min(1.0, (step + 1) / self.warmup_steps) * ramped

        return LambdaLR(optimizer, factor)


class OrganicCNN(DigitsCNN):
    """`DigitsCNN` by momentum SGD.

    Args:
        lr: Learning rate.
        norm: Whether batch normalisation is there.
        ramp: Factor by which the rate has grown, exponentially, after ``ramp_steps``.
        ramp_steps: Length of that.
    """

    def __init__(self, lr: float = 0.03, norm: bool = True, ramp: float = 1.0, ramp_steps: int = 500) -> None:
        super().__init__(lr=lr)
        self.ramp, self.ramp_steps = ramp, ramp_steps
        if not norm:
            self.net = nn.Sequential(*[layer for layer in self.net if not isinstance(layer, nn.BatchNorm2d)])

    def configure_optimizers(self) -> dict[str, object]:  # type: ignore[override]
        """SGD with momentum 0.9, its rate ramped."""
        optimizer = SGD(self.parameters(), lr=self.lr, momentum=0.9)
        schedule = LambdaLR(optimizer, lambda step: self.ramp ** min(1.0, step / self.ramp_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Text(HelpTopics):
    """`HelpTopics` in short windows, some of whose targets are drawn at random.

    Args:
        batch_size: Windows per batch.
        wrong: Share of the characters to predict that are wrong.
    """

    def __init__(self, batch_size: int = 16, wrong: float = 0.0) -> None:
        super().__init__(batch_size, length=32)
        self.wrong = wrong

    def setup(self, stage: str) -> None:
        """Cuts the text and spoils the targets, the same ones in every run."""
        super().setup(stage)
        self.train = _spoiled(self.train, self.wrong, 128)


class Digits(DigitsData):
    """`DigitsData`, some of whose labels are drawn at random.

    Args:
        batch_size: Images per batch.
        wrong: Share of the labels that are wrong.
    """

    def __init__(self, batch_size: int = 32, wrong: float = 0.0) -> None:
        super().__init__(batch_size)
        self.wrong = wrong

    def setup(self, stage: str) -> None:
        """Splits and spoils the labels, the same ones in every run."""
        super().setup(stage)
        self.train = _spoiled(self.train, self.wrong, 10)


def _spoiled(data: TensorDataset, share: float, classes: int) -> TensorDataset:
    inputs, targets = data.tensors
    rng = torch.Generator().manual_seed(0)
    is_wrong = torch.rand(targets.shape, generator=rng) < share
    return TensorDataset(inputs, torch.where(is_wrong, torch.randint(classes, targets.shape, generator=rng), targets))


FAMILIES = (
    Family("gpt ramp", lambda: OrganicGPT(ramp=1000.0), Text),
    Family("gpt no warm-up", lambda: OrganicGPT(lr=0.02, warmup_steps=1, norm="none", beta2=0.999), Text),
    Family("gpt post-norm ramp", lambda: OrganicGPT(norm="post", ramp=300.0), Text),
    Family("gpt no norm", lambda: OrganicGPT(lr=0.03, norm="none"), Text),
    Family("gpt no norm ramp", lambda: OrganicGPT(norm="none", ramp=30.0), Text),
    Family("gpt batch 4 ramp", lambda: OrganicGPT(ramp=300.0), lambda: Text(batch_size=4)),
    Family("gpt label noise ramp", lambda: OrganicGPT(ramp=300.0), lambda: Text(wrong=0.3)),
    Family("cnn ramp", lambda: OrganicCNN(lr=0.01, norm=False, ramp=300.0), Digits, seeds=6),
    Family("cnn batch 4 ramp", lambda: OrganicCNN(lr=0.003, norm=False, ramp=300.0), lambda: Digits(batch_size=4)),
    Family("cnn label noise ramp", lambda: OrganicCNN(lr=0.01, norm=False, ramp=300.0), lambda: Digits(wrong=0.3)),
    Family("healthy gpt", OrganicGPT, Text),
    Family("healthy gpt post-norm", lambda: OrganicGPT(norm="post"), Text),
    Family("healthy gpt gentle ramp", lambda: OrganicGPT(lr=0.001, ramp=5.0), Text),
    Family("healthy cnn", OrganicCNN, Digits),
    Family("noisy gpt batch 4", OrganicGPT, lambda: Text(batch_size=4)),
    Family("noisy gpt label noise", OrganicGPT, lambda: Text(wrong=0.3)),
    Family("noisy cnn batch 4", lambda: OrganicCNN(lr=0.005), lambda: Digits(batch_size=4)),
    Family("noisy cnn label noise", lambda: OrganicCNN(lr=0.01), lambda: Digits(batch_size=8, wrong=0.3)),
)


HELD_OUT = 8
"""Further seeds of each family, on which nothing was developed."""


def organic_runs(folder: Path, only: str = "", held_out: bool = False) -> Iterator[tuple[Family, int, Run]]:
    """Every run, trained unless ``folder`` holds it already.

    Args:
        folder: Where the records are kept.
        only: Leave out families whose name does not contain this.
        held_out: Further seeds in place of the first ones.
    """
    chosen = [
        (family, seed)
        for family in FAMILIES
        if only in family.name
        for seed in (range(family.seeds, family.seeds + HELD_OUT) if held_out else range(family.seeds))
    ]
    for number, (family, seed) in enumerate(chosen, 1):
        home = folder / family.name.replace(" ", "_") / f"seed={seed}"
        run = _finished(home)
        if run is None:
            print(f"\rtraining {number} of {len(chosen)}: {family.name}, seed {seed}" + " " * 20, end="", flush=True)
            _train(family, seed, home)
            run = read_run(home)
        yield family, seed, run
    print("\r" + " " * 80 + "\r", end="")


def _finished(home: Path) -> Run | None:
    try:
        run = read_run(home)
    except (RecordError, FileNotFoundError):
        return None
    return run if run.status in CLOSED else None


def _train(family: Family, seed: int, home: Path) -> None:
    seed_everything(seed, verbose=False)
    monitor = StabilityMonitor(["default", "adam_rms"], strided_every_n_steps=1, dirpath=home, group=family.name)
    trainer = Trainer(
        accelerator="cpu",
        max_steps=family.steps,
        max_epochs=-1,
        callbacks=[monitor],
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=home,
    )
    trainer.fit(family.model(), family.data())
