"""What `SpikeGuard` saves, and what it costs.

    python benchmarks/guard.py FOLDER                some ten minutes on one core
    python benchmarks/guard.py FOLDER --only cost    two minutes

**rescue**: `char_gpt` without layer norms, trained so that it diverges by itself, without a guard, with one that lets
the batches since the snapshot pass, and with one that takes the data back. The records stay in FOLDER:
``stabilimeter summarize FOLDER`` tells what led, what was done and what it cost.

**cost**: processor time of a fit over that of the same fit without a guard, median and quartiles over interleaved
rounds; reads of the device per step.
"""

import argparse
import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Trainer, seed_everything
from torch import Tensor
from torch.utils.data import DataLoader, RandomSampler

from organic_runs import OrganicGPT, Text
from rounds import quartiles, seconds
from stabilimeter import StabilityMonitor, read_run
from stabilimeter.callbacks.skip_list import SkippingSampler
from stabilimeter.callbacks.spike_guard import SpikeGuard
from stabilimeter.records import keys

STEPS = 500
LAST = 50
TROUBLES: dict[str, tuple[Callable[[], OrganicGPT], tuple[int, ...]]] = {
    "ramped 30 times too high": (lambda: OrganicGPT(norm="none", ramp=30.0), (0, 1)),
    "no warm-up, beta2 0.999": (lambda: OrganicGPT(lr=0.02, warmup_steps=1, norm="none", beta2=0.999), (1,)),
}
"""Models, and seeds with which they diverge."""


class Rewindable(Text):
    """`Text`, with a sampler that can go back."""

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """Shuffled by the run's seed."""
        sampler = SkippingSampler(RandomSampler(self.train))
        return DataLoader(self.train, batch_size=self.batch_size, sampler=sampler)


def fit(
    model: OrganicGPT, data: Text, folder: Path | None, *, steps: int = STEPS, action: str | None = None
) -> Trainer:
    """One run; its record goes to ``folder``, if there is one."""
    callbacks = [] if folder is None else [StabilityMonitor(dirpath=folder, group=folder.parent.name)]
    guard = [] if action is None else [SpikeGuard(action, dirpath=folder)]
    trainer = Trainer(
        accelerator="cpu",
        max_steps=steps,
        max_epochs=-1,
        callbacks=[*callbacks, *guard],
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, data)
    return trainer


def rescue(folder: Path) -> None:
    """Train with and without a guard, and print where the loss ends."""
    ways = {
        "no guard": (Text, None),
        "skip": (Text, "skip"),
        "rollback, data go on": (Text, "rollback"),
        "rollback, data go back": (Rewindable, "rollback"),
    }
    print("median training loss of the last 50 steps (steps not taken, rollbacks)")
    print(f"{'trouble, seed':28}" + "".join(f"{way:>24}" for way in ways))
    for trouble, (make, seeds) in TROUBLES.items():
        for seed in seeds:
            cells = []
            for way, (data, action) in ways.items():
                name = f"{trouble}, {way}".replace(", ", ",").replace(" ", "_")
                home = folder / name / f"seed={seed}"
                seed_everything(seed, verbose=False)
                fit(make(), data(), home, action=action)
                run = read_run(home)
                acts = [i for i in run.incidents if i.key.startswith(keys.GUARD_PREFIX)]
                not_taken = sum(i.end_step - i.step + 1 for i in acts if not i.key.endswith("warn"))
                back = sum(i.key.endswith("rollback") for i in acts)
                loss = float(np.median(run[keys.LOSS].values[-LAST:]))
                cells.append(f"{loss:.3g} ({not_taken}, {back})")
            print(f"{trouble + f', {seed}':28}" + "".join(f"{cell:>24}" for cell in cells), flush=True)


def cost(rounds: int) -> None:
    """Time fits of a healthy run under each action."""
    data = Text()
    data.prepare_data()
    actions: dict[str, str | None] = {"none": None, "warn": "warn", "skip": "skip", "rollback": "rollback"}

    def once(action: str | None) -> None:
        seed_everything(0, verbose=False)
        fit(OrganicGPT(), data, None, steps=100, action=action)

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
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=["rescue", "cost"])
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    for name in ("lightning.pytorch", "lightning.fabric", "stabilimeter"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if arguments.only != "cost":
        rescue(arguments.folder)
    if arguments.only != "rescue":
        cost(arguments.rounds)


if __name__ == "__main__":
    main()
