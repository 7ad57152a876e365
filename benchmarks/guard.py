"""What `SpikeGuard` saves, and what it costs.

    python benchmarks/guard.py FOLDER                half an hour on one core
    python benchmarks/guard.py FOLDER --only cost    two minutes
    python benchmarks/guard.py FOLDER --only rescue --runs "no norm" --seeds 1

**glitches**: `char_gpt` with one thing that goes wrong at a known step; validation loss in the end.

**rescue**: the runs of `organic_runs.py`, which go wrong by themselves, and their healthy twins, without a guard, with
one that skips, with one that lets the batches since the snapshot pass, and with one that takes the data back. Training
loss in the end, and what was done. The records stay in FOLDER, and are not trained again:
``stabilimeter summarize FOLDER`` tells what led, what was done and what it cost.

**noise**: how often a slow turn is told of where there is none: the stationary noise of `calibration.py` as the loss.

**cost**: processor time of a fit over that of the same fit without a guard, median and quartiles over interleaved
rounds; reads of the device per step.
"""

import argparse
import logging
import math
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from lightning import LightningDataModule, LightningModule
from lightning.pytorch import Callback, Trainer, seed_everything
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, RandomSampler

from calibration import NOISES, STEPS
from organic_onset import Course, onset, running_median
from organic_runs import CLOSED, FAMILIES, Family, OrganicGPT, Text
from rounds import quartiles, seconds
from stabilimeter import StabilityMonitor, read_run
from stabilimeter.callbacks.guard.judge import Judge
from stabilimeter.callbacks.guard.ladder import Trouble
from stabilimeter.callbacks.skip_list import SkippingSampler
from stabilimeter.callbacks.spike_guard import SpikeGuard
from stabilimeter.experiments.char_gpt import CharGPT, HelpTopics
from stabilimeter.records import keys
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.run import Run
from stabilimeter.stats.detection import ALARM_RATE
from stabilimeter.stats.incident import Incident
from stabilimeter.stats.spike_rate import spike_rate

LAST = 50
WAYS: dict[str, tuple[str | None, bool]] = {
    "no guard": (None, False),
    "skip": ("skip", False),
    "rollback": ("rollback", False),
    "rollback, data go back": ("rollback", True),
}
"""Highest rung of the guard, and whether the data can go back."""


class Glitching(CharGPT):
    """`CharGPT` to which something happens.

    Args:
        factors: By step, what the loss is multiplied by.
        rates: By step, what the learning rate of that step is multiplied by.
        sgd_rate: Rate of plain SGD in place of AdamW.
    """

    def __init__(
        self,
        factors: dict[int, float] | None = None,
        rates: dict[int, float] | None = None,
        sgd_rate: float | None = None,
    ) -> None:
        super().__init__()
        self.factors, self.rates, self.sgd_rate = factors or {}, rates or {}, sgd_rate

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """The loss, or what became of it."""
        step = self.trainer.global_step
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] *= self.rates.get(step, 1.0)
        return super().training_step(batch, batch_idx) * self.factors.get(step, 1.0)

    def configure_optimizers(self) -> object:  # type: ignore[override]
        """AdamW, or SGD."""
        if self.sgd_rate is None:
            return super().configure_optimizers()
        return torch.optim.SGD(self.parameters(), lr=self.sgd_rate)


GLITCHES: dict[str, Callable[[], Glitching]] = {
    "none": Glitching,
    "loss NaN at steps 200 to 202": lambda: Glitching(factors=dict.fromkeys((200, 201, 202), math.nan)),
    "loss times 1e5 at step 200": lambda: Glitching(factors={200: 1e5}),
    "rate times 1000 at step 200": lambda: Glitching(rates={200: 1000.0}),
    "SGD at a rate of 3": lambda: Glitching(sgd_rate=3.0),
}


def fit(model: LightningModule, data: LightningDataModule, steps: int, *callbacks: Callback) -> Trainer:
    """One run."""
    trainer = Trainer(
        accelerator="cpu",
        max_steps=steps,
        max_epochs=-1,
        callbacks=list(callbacks),
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, data)
    return trainer


def glitches(steps: int = 400) -> None:
    """Validation loss after a known trouble."""
    print(f"validation loss after {steps} steps (steps not taken, rollbacks)")
    actions = (None, "skip", "rollback", "stop")
    print(f"{'trouble':32}" + "".join(f"{action or 'no guard':>28}" for action in actions))
    for trouble, make in GLITCHES.items():
        cells = []
        for action in actions:
            seed_everything(0, verbose=False)
            model, data = make(), HelpTopics(batch_size=16)
            keepers = guards(action)
            steps_done = fit(model, data, steps, *keepers).global_step
            cell = f"{validation_loss(model, data):.3g}"
            for keeper in keepers:
                cell += f" {done(keeper.actions)}" + (f" step {steps_done}" if keeper.stop_reason else "")
            cells.append(cell)
        print(f"{trouble:32}" + "".join(f"{cell:>28}" for cell in cells), flush=True)


def guards(action: str | None, folder: Path | None = None) -> list[SpikeGuard]:
    """One guard, or none."""
    return [] if action is None else [SpikeGuard(action, dirpath=folder)]


def done(actions: Iterable[Incident]) -> str:
    """Steps not taken and rollbacks; and warnings of slow turns, if there are any."""
    acts = list(actions)
    not_taken = sum(act.end_step - act.step + 1 for act in acts if not act.key.endswith("warn"))
    back = sum(act.key.endswith("rollback") for act in acts)
    warned = sum(act.key.endswith("warn") and "onset_step" in act.evidence for act in acts)
    return f"({not_taken}, {back}" + (f", {warned} warned)" if warned else ")")


@torch.no_grad()
def validation_loss(model: CharGPT, data: HelpTopics) -> float:
    """Nats per character, mean over batches of validation text."""
    model.eval()
    losses = [cross_entropy(model(x).flatten(0, 1), y.flatten()) for x, y, _ in data.val_dataloader()]
    return torch.stack(losses).mean().item()


def rescue(folder: Path, only: str, seeds: int) -> None:
    """Train with and without a guard, and print where the loss ends."""
    print("median training loss of the last 50 steps (steps not taken, rollbacks); *: never turned for the worse")
    print(f"{'family, seed':28}{'best before':>12}" + "".join(f"{way:>24}" for way in WAYS))
    for family in FAMILIES:
        if only not in family.name:
            continue
        for seed in range(min(seeds, family.seeds)):
            runs = {way: trained(family, seed, way, folder) for way in WAYS}
            unguarded = runs["no guard"][keys.LOSS].values
            course = onset(unguarded).course
            name = f"{family.name}, {seed}" + ("" if course is Course.UNSTABLE else " *")
            cells = [
                f"{np.median(run[keys.LOSS].values[-LAST:]):.3g} "
                + done(act for act in run.incidents if act.key.startswith(keys.GUARD_PREFIX))
                for run in runs.values()
            ]
            print(f"{name:28}{running_median(unguarded).min():>12.3g}" + "".join(f"{c:>24}" for c in cells), flush=True)


def trained(family: Family, seed: int, way: str, folder: Path) -> Run:
    """One run, unless ``folder`` holds it already."""
    home = folder / f"{family.name},{way}".replace(" ", "_") / f"seed={seed}"
    try:
        run = read_run(home)
        if run.status in CLOSED:
            return run
    except (RecordError, FileNotFoundError):
        pass
    action, goes_back = WAYS[way]
    seed_everything(seed, verbose=False)
    model, data = family.model(), family.data()
    if goes_back:
        data.train_dataloader = lambda: DataLoader(
            data.train, batch_size=data.batch_size, sampler=SkippingSampler(RandomSampler(data.train))
        )
    fit(model, data, family.steps, StabilityMonitor(dirpath=home, group=home.parent.name), *guards(action, home))
    return read_run(home)


def noise(seeds: int = 20) -> None:
    """Count slow turns on noise."""
    print(f"{'noise':16}{'slow turns':>12}{'steps':>10}{'a step':>10}   95 % interval")
    for name, draw in NOISES.items():
        turns = 0
        for seed in range(seeds):
            judge = Judge(ALARM_RATE, "")
            for step, value in enumerate(draw(np.random.default_rng(seed)).tolist()):
                turns += any(found.trouble is Trouble.TURN for found in judge.findings(step, loss=value, norm=None))
        rate = spike_rate(turns, seeds * STEPS)
        print(
            f"{name:16}{turns:12d}{seeds * STEPS:10d}{rate.rate:10.1e}   {rate.low:.1e} to {rate.high:.1e}", flush=True
        )


def cost(rounds: int) -> None:
    """Time fits of a healthy run under each action."""
    data = Text()
    data.prepare_data()
    actions: dict[str, str | None] = {"none": None, "warn": "warn", "skip": "skip", "rollback": "rollback"}

    def once(action: str | None) -> None:
        seed_everything(0, verbose=False)
        fit(OrganicGPT(), data, 100, *guards(action))

    reads = {name: _reads(lambda a=action: once(a)) / 100 for name, action in actions.items()}
    times = seconds({n: lambda a=a: once(a) for n, a in actions.items()}, rounds, np.random.default_rng(0))
    print(f"{'action':10}{'time of a fit without':>23}{'milliseconds a step':>22}{'reads of the device a step':>29}")
    for name in list(actions)[1:]:
        low, middle, high = quartiles(times[name] / times["none"])
        more = 1e3 * float(np.median(times[name] - times["none"])) / 100
        print(f"{name:10}{middle:>10.2f} ({low:.2f} to {high:.2f}){more:>15.2f}{reads[name] - reads['none']:>27.2f}")


def _reads(fit_once) -> int:
    """How often a tensor is copied to Python numbers; `tolist` of one tensor is one copy on a GPU."""
    counted = 0
    tolist = torch.Tensor.tolist

    def counting(tensor: Tensor) -> object:
        nonlocal counted
        counted += 1
        return tolist(tensor)

    torch.Tensor.tolist = counting
    try:
        fit_once()
    finally:
        torch.Tensor.tolist = tolist
    return counted


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=["glitches", "rescue", "noise", "cost"])
    parser.add_argument("--runs", default="", help="leave out families of runs whose name does not contain this")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    for name in ("lightning.pytorch", "lightning.fabric", "stabilimeter"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if arguments.only in (None, "glitches"):
        glitches()
    if arguments.only in (None, "rescue"):
        rescue(arguments.folder, arguments.runs, arguments.seeds)
    if arguments.only in (None, "noise"):
        noise()
    if arguments.only in (None, "cost"):
        cost(arguments.rounds)


if __name__ == "__main__":
    main()
