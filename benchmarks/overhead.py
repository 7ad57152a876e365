"""What monitoring costs per training step, measured beside its peers, with targets.

Each variant is a live ``Trainer.fit`` in a thread of its own, stopped inside its data iterator. Blocks of steps run
round robin in shuffled order, one at a time, so that a slow spell of the machine hits all variants alike. A bare
Trainer runs twice: the ratio of the two says what the measurement can resolve. Per round each variant's CPU time is
divided by the mean of the two bare ones; printed are the median over rounds and a bootstrap interval of it. A block of
a slow model is shorter than the interval between two flushes, and a median leaves out what most blocks do not do.

``in hooks`` is what the monitor says of itself: CPU time in its hooks over that of the rest, flushes included. It
resolves far smaller costs than the ratios do, also on a busy machine, and leaves out what Lightning does around a hook
(some 12 us each).

    python benchmarks/overhead.py                      # every model, memory and writing: ten minutes
    python benchmarks/overhead.py mlp --minutes 2
    python benchmarks/overhead.py --more-signals       # each group that is off by default, over the default ones
"""

import argparse
import ctypes
import gc
import logging
import random
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer

from overhead_peers import ComposerNorms, LogGradNorm, LogLoss, NormsAlone, OlmoRule, QuietSpikeDetection
from overhead_tasks import TASKS, Batch, Task
from stabilimeter.callbacks.capture.own_cost import OwnCost
from stabilimeter.callbacks.catalogue import CATALOGUE
from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.callbacks.recording.flush_schedule import FlushSchedule
from stabilimeter.callbacks.signals import DEFAULT_SIGNALS
from stabilimeter.callbacks.signals.hessian import hessian_max, hessian_preconditioned_max
from stabilimeter.records import keys

OURS, WITHOUT_UPDATES = "StabilityMonitor", "StabilityMonitor without update size"
CLIPPING, CLIPPING_OURS = "clipping", "clipping + StabilityMonitor"


class Lane:
    """One fit, which runs only while it is asked to."""

    def __init__(self, name: str, task: Callable[[], tuple[LightningModule, Batch]], arguments: dict[str, Any]) -> None:
        self.name = name
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._steps = 0
        self.stopping = False
        self.seconds: list[float] = []
        self.monitor = next((c for c in arguments.get("callbacks", ()) if isinstance(c, StabilityMonitor)), None)
        self._own_s = 0.0
        self._thread = threading.Thread(target=self._fit, args=(task, arguments), daemon=True)
        self._thread.start()

    def _batches(self, batch: Batch) -> Iterator[Batch]:
        while True:
            self._go.acquire()
            if self.stopping:
                return
            start, own = time.thread_time(), self._cost_s()
            for _ in range(self._steps):
                yield batch
            self.seconds.append(time.thread_time() - start)
            if len(self.seconds) > 1:  # the first block warms up
                self._own_s += self._cost_s() - own
            self._done.release()

    def _fit(self, task: Callable[[], tuple[LightningModule, Batch]], arguments: dict[str, Any]) -> None:
        module, batch = task()
        trainer = quiet_trainer(**arguments)
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

    @property
    def in_hooks(self) -> float | None:
        """Time in the monitor's own hooks over the rest of the step; None without a monitor."""
        return None if self.monitor is None else self._own_s / (sum(self.seconds[1:]) - self._own_s)

    def _cost_s(self) -> float:
        return 0.0 if self.monitor is None else self.monitor.cost.seconds

    def stop(self) -> None:
        """End the fit."""
        self.stopping = True
        self._go.release()
        self._thread.join()


def variants(folder: Path) -> dict[str, Callable[[], dict[str, Any]]]:
    """Name and Trainer arguments of everything that is compared; the first two are the A/A control."""
    no_update = [s for s in DEFAULT_SIGNALS if s.spec.key not in (keys.UPDATE_NORM, keys.UPDATE_RATIO)]

    def monitored(name: str, *, clip: bool = False, **arguments: Any) -> Callable[[], dict[str, Any]]:
        clipping = {"gradient_clip_val": 1.0} if clip else {}
        return lambda: {"callbacks": [StabilityMonitor(dirpath=folder / name, **arguments)], **clipping}

    return {
        "bare": dict,
        "bare again": dict,
        OURS: monitored("a"),
        WITHOUT_UPDATES: monitored("b", signals=no_update),
        "StabilityMonitor, all at every step": monitored("c", strided_every_n_steps=1),
        CLIPPING: lambda: {"gradient_clip_val": 1.0},
        CLIPPING_OURS: monitored("d", clip=True),
        "one self.log": lambda: {"callbacks": [LogLoss()]},
        "SpikeDetection (Lightning)": lambda: {
            "callbacks": [QuietSpikeDetection(exclude_batches_path=str(folder / "skip.json"))]
        },
        "OLMo-core's rule": lambda: {"callbacks": [OlmoRule()]},
        "norms alone, not kept (the floor)": lambda: {"callbacks": [NormsAlone()]},
        "norms as Composer takes them": lambda: {"callbacks": [ComposerNorms()]},
        "grad_norm + log_dict (Lightning)": lambda: {"callbacks": [LogGradNorm()]},
    }


EVERY_STEP = ("loss_scale", "data_wait")
STRIDED = ("adam_rms", "activations", "attention_logits")
ACCUMULATED = ("loss_spread", "noise_scale")
HESSIAN = {
    "hessian": partial(hessian_max, every_n_strides=1),
    "hessian_preconditioned": partial(hessian_preconditioned_max, every_n_strides=1),
}
ALL_AT_EVERY_STEP = f"{OURS}, at every step"


def more_signals(folder: Path) -> dict[str, Callable[[], dict[str, Any]]]:
    """Each group of signals that is off by default, added to the default ones; what is strided also at every step."""
    numbers = count()

    def monitored(*signals: Any, stride: int = 20, **arguments: Any) -> Callable[[], dict[str, Any]]:
        settings = {"dirpath": folder / f"record_{next(numbers)}", "strided_every_n_steps": stride}
        return lambda: {"callbacks": [StabilityMonitor(["default", *signals], **settings)], **arguments}

    return {
        "bare": dict,
        "bare again": dict,
        OURS: monitored(),
        **{f"+ {name}": monitored(name) for name in (*EVERY_STEP, *STRIDED)},
        ALL_AT_EVERY_STEP: monitored(stride=1),
        **{f"+ {name}, at every step": monitored(name, stride=1) for name in STRIDED},
        **{f"+ {name}, at every step": monitored(make(), stride=1) for name, make in HESSIAN.items()},
        "accumulating 2 batches": monitored(accumulate_grad_batches=2),
        **{f"+ {name}, accumulating 2": monitored(name, accumulate_grad_batches=2) for name in ACCUMULATED},
    }


BASES = {
    CLIPPING_OURS: CLIPPING,
    **{f"+ {name}": OURS for name in (*EVERY_STEP, *STRIDED)},
    **{f"+ {name}, at every step": ALL_AT_EVERY_STEP for name in (*STRIDED, *HESSIAN)},
    **{f"+ {name}, accumulating 2": "accumulating 2 batches" for name in ACCUMULATED},
}
"""What a variant is compared with, if not with the bare Trainer."""

TARGETS = {"mlp": 1.10, "transformer": 1.01, "resnet": 1.01, "many": 1.03}
"""Of `OURS`, per model; `OVER_CLIPPING` is for models that do more than Python."""
OVER_CLIPPING = 1.005
OF_UPDATES = 0.005


@dataclass(frozen=True)
class Measured:
    """One variant.

    Attributes:
        seconds: CPU time per step, one value per round.
        in_hooks: What its monitor says of itself, as a share of the rest of the step; None without one.
    """

    seconds: np.ndarray
    in_hooks: float | None


def measured(model: str, seconds: float, ways: dict[str, Callable[[], dict[str, Any]]]) -> dict[str, Measured]:
    """Run all variants side by side for so many seconds, at least five rounds."""
    task, block = TASKS[model]
    torch.manual_seed(0)
    build_tables(task)
    lanes = [Lane(name, task, make()) for name, make in ways.items()]
    order = random.Random(0)
    number, end = 0, time.monotonic() + seconds
    while number < 6 or time.monotonic() < end:
        for lane in order.sample(lanes, len(lanes)):
            lane.run(max(block, 10) if number == 0 else block)  # the first round warms up
        left = max(end - time.monotonic(), 0.0)
        print(f"\r{model}: round {number}, {left:.0f} s left  ", end="", file=sys.stderr, flush=True)
        number += 1
        if number == 1:
            gc.collect()
            gc.freeze()  # a collection in one fit must not go through the objects of the eleven others
    gc.unfreeze()
    print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
    for lane in lanes:
        lane.stop()
    return {lane.name: Measured(np.array(lane.seconds[1:]) / block, lane.in_hooks) for lane in lanes}


def build_tables(task: Callable[[], tuple[LightningModule, Batch]]) -> None:
    """Let the first flush of this process, which builds tables for checksums (50 ms), belong to nobody."""
    module, batch = task()
    with tempfile.TemporaryDirectory() as folder:
        trainer = quiet_trainer(callbacks=[StabilityMonitor(dirpath=folder)], max_steps=20)
        trainer.fit(module, torch.utils.data.DataLoader([batch] * 20, batch_size=None))


def median_with_interval(ratios: np.ndarray, rng: np.random.Generator) -> tuple[float, float, float]:
    """Median, and the central 90 % of the medians of resampled rounds."""
    medians = np.median(rng.choice(ratios, (2000, len(ratios))), axis=1)
    low, high = np.quantile(medians, [0.05, 0.95])
    return float(np.median(ratios)), float(low), float(high)


def report(model: str, found: dict[str, Measured]) -> None:
    """Print one table."""
    rng = np.random.default_rng(0)
    base = (found["bare"].seconds + found["bare again"].seconds) / 2
    _, *bounds = median_with_interval(found["bare again"].seconds / base, rng)
    resolution = max(abs(bound - 1) for bound in bounds)
    print(f"\n{model}: {1e3 * np.median(base):.2f} ms of CPU time per bare step, {len(base)} rounds")
    print(f"  {'':<36} {'ratio':>6}  {'90 % interval':<16}  {'in hooks':>8}  target")
    for name, variant in found.items():
        against = found[BASES[name]].seconds if name in BASES else base
        middle, low, high = median_with_interval(variant.seconds / against, rng)
        hooks = "" if variant.in_hooks is None else f"{100 * variant.in_hooks:.2f} %"
        target = TARGETS[model] if name == OURS else OVER_CLIPPING if name == CLIPPING_OURS and model != "mlp" else None
        said = "" if target is None else verdict(target, low, high, resolution, variant.in_hooks)
        note = f"  (over {BASES[name]})" if name in BASES else ""
        print(f"  {name:<36} {middle:6.3f}  ({low:.3f} to {high:.3f})  {hooks:>8}  {said}{note}".rstrip(), flush=True)
    with_updates, without = (found[n].in_hooks if n in found else None for n in (OURS, WITHOUT_UPDATES))
    if with_updates is not None and without is not None:
        taken = with_updates - without
        said = "met" if taken <= OF_UPDATES else f"missed by {100 * (taken - OF_UPDATES):.2f} %"
        print(f"  size of updates, in hooks: {100 * taken:.2f} % of a step; target {100 * OF_UPDATES:.1f} %: {said}")


def verdict(target: float, low: float, high: float, resolution: float, in_hooks: float | None) -> str:
    """Whether a target is met, or what is in the way of an answer: two bare runs that differ by as much, for one."""
    if resolution > target - 1:
        inside = "" if in_hooks is None else f", {'met' if 1 + in_hooks <= target else 'missed'} in hooks"
        return f"{target:g}: not resolved (bare runs differ by {resolution:.3f}){inside}"
    if high <= target:
        return f"{target:g}: met"
    if low > target:
        return f"{target:g}: missed by {low - target:.3f} or more"
    inside = "" if in_hooks is None else f", {'met' if 1 + in_hooks <= target else 'missed'} in hooks"
    return f"{target:g}: within the interval{inside}"


WARM_UP_OF_MEMORY, STEPS_OF_MEMORY = 5000, 10_000  # caches and arenas fill first


def memory_slope(monitored: bool) -> float:
    """Growth of the resident memory of this process in MB per 10,000 steps of a model with 76 small tensors.

    What the allocator keeps of freed memory goes up and down by megabytes; it is given back before each look.
    """
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: None)
    samples: list[tuple[int, float]] = []
    net = torch.nn.Sequential(*[torch.nn.Linear(16, 16) for _ in range(38)])
    module = Task(net)
    batch = (torch.randn(8, 16), torch.randint(16, (8,)))

    class Stream(torch.utils.data.IterableDataset[Batch]):
        def __iter__(self) -> Iterator[Batch]:
            for step in range(WARM_UP_OF_MEMORY + STEPS_OF_MEMORY):
                if step >= WARM_UP_OF_MEMORY and step % 250 == 0:
                    gc.collect()
                    give_back(0)
                    pages = int(Path("/proc/self/statm").read_text().split()[1])
                    samples.append((step, pages * 4096 / 1e6))
                yield batch

    with tempfile.TemporaryDirectory() as folder:
        callbacks = [StabilityMonitor(dirpath=folder)] if monitored else []
        quiet_trainer(callbacks=callbacks).fit(module, torch.utils.data.DataLoader(Stream(), batch_size=None))
    steps, megabytes = np.array(samples).T
    return float(1e4 * np.polyfit(steps, megabytes, 1)[0])


def report_memory() -> None:
    """Slopes in fresh processes, one after the other."""
    if not Path("/proc/self/statm").exists():
        print("\nmemory: not measured on this system (needs /proc)")
        return
    slopes = {}
    for name in ("bare", "monitored"):
        print(f"\rmemory: {name}  ", end="", file=sys.stderr, flush=True)
        child = subprocess.run(
            [sys.executable, __file__, "--memory-of", name], capture_output=True, text=True, check=True
        )
        slopes[name] = float(child.stdout.split()[-1])
    more = slopes["monitored"] - slopes["bare"]
    said = "met" if more <= 0.2 else f"missed by {more - 0.2:.2f}"
    print(
        f"\r\nmemory, MB per 10,000 steps: bare {slopes['bare']:.2f}, monitored {slopes['monitored']:.2f}; "
        f"target at most 0.2 more: {said}"
    )


def quiet_trainer(**arguments: Any) -> Trainer:
    """A Trainer that does nothing but train."""
    return Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        max_epochs=1,
        **arguments,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("models", nargs="*", default=[], help=f"any of {', '.join(TASKS)}; all of them if none")
    parser.add_argument("--minutes", type=float, default=2.0, help="per model (default: 2)")
    parser.add_argument("--more-signals", action="store_true", help="the signals that are off by default")
    parser.add_argument("--memory-of", choices=["bare", "monitored"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    assert {"default", *EVERY_STEP, *STRIDED, *ACCUMULATED, *HESSIAN} == set(CATALOGUE), "a group is not measured"
    unknown = set(options.models) - set(TASKS)
    if unknown or options.minutes <= 0:
        parser.error(f"models are {', '.join(TASKS)} and minutes above 0, got {options.models}, {options.minutes}")
    torch.set_num_threads(1)
    OwnCost.clock = FlushSchedule.clock = staticmethod(time.thread_time)  # a fit that has to wait does not flush
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    if options.memory_of is not None:
        print(memory_slope(options.memory_of == "monitored"))
        return
    for model in options.models or TASKS:
        with tempfile.TemporaryDirectory() as folder:
            ways = (more_signals if options.more_signals else variants)(Path(folder))
            report(model, measured(model, 60 * options.minutes, ways))
    if not options.models and not options.more_signals:
        report_memory()
        print("\nwriting", flush=True)
        subprocess.run([sys.executable, str(Path(__file__).with_name("writing.py")), "--rounds", "3"], check=True)


if __name__ == "__main__":
    main()
