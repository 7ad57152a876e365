"""What recording costs: many scalars per step, written to disk, beside TensorBoard's writers.

    python benchmarks/writing.py                    76 tags per step, as the per-layer norms of a small transformer
    python benchmarks/writing.py --at-least 300     exit status 1 if the ratio to SummaryWriter.add_scalar is below 300

Closing the file is included. Every file is then read back with TensorBoard's own reader, which checks the checksums.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from torch.utils.tensorboard import SummaryWriter

from rounds import quartiles, seconds
from stabilimeter.records.manifest import Manifest, RunStatus
from stabilimeter.records.writer import RunWriter

BLOCK = 50
"""Steps per flush: what `StabilityMonitor` does with several ranks, or at a tenth of a second per step."""
PEER = "SummaryWriter.add_scalar"


def main() -> int:
    """Write the same values in every way, check them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tags", type=int, default=76, help="scalars per step (default: 76)")
    parser.add_argument("--steps", type=int, default=1000, help="steps per round (default: 1000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--at-least", type=float, help="smallest acceptable ratio to SummaryWriter.add_scalar")
    parser.add_argument("--seed", type=int, default=0, help="seed of the values and of the order (default: 0)")
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    tags = [f"grad/layers.{number}.weight/norm" for number in range(arguments.tags)]
    values = rng.normal(size=(arguments.steps, len(tags)))
    logged = rng.random(values.shape) < 0.999
    with tempfile.TemporaryDirectory() as scratch:
        new = _Folders(Path(scratch))
        ways: dict[str, Callable[[], object]] = {
            PEER: lambda: _add_scalar(new.folder(PEER), tags, values),
            "EventFileWriter, event per step": lambda: _packed_protobuf(new.folder("packed"), tags, values),
            "stabilimeter": lambda: _record(new.folder("ours"), tags, values, None),
            "stabilimeter, gaps": lambda: _record(new.folder("gaps"), tags, values, logged),
        }
        times = seconds(ways, arguments.rounds, rng)
        for name in ("ours", PEER):
            _check(new.latest[name], tags, values)
        size = sum(path.stat().st_size for path in new.latest["ours"].rglob("*tfevents*"))
    print(f"{arguments.steps} steps x {len(tags)} scalars, {size / values.size:.1f} bytes per scalar\n")
    print(f"{'way':34} {'us/step':>9} {'scalars/s':>12} {'x add_scalar [IQR]':>26}")
    ratio = 0.0
    for name, spent in times.items():
        low, middle, high = quartiles(times[PEER] / spent)
        median = float(np.median(spent))
        per_step = 1e6 * median / arguments.steps
        print(f"{name:34} {per_step:9.1f} {values.size / median:12,.0f} {middle:12.1f} [{low:.1f}, {high:.1f}]")
        ratio = middle if name == "stabilimeter" else ratio
    micros = 1e6 * float(np.median(times["stabilimeter"])) / arguments.steps
    for what, value, target, met in (
        ("us per step", micros, "at most 20", micros <= 20),
        ("x add_scalar", ratio, "at least 300", ratio >= 300),
    ):
        print(f"{value:.1f} {what}; target {target}: {'met' if met else 'missed'}")
    if arguments.at_least is not None and ratio < arguments.at_least:
        print(f"ratio {ratio:.1f} is below {arguments.at_least:g}", file=sys.stderr)
        return 1
    return 0


class _Folders:
    """A fresh folder for every file that is written."""

    def __init__(self, root: Path) -> None:
        self.latest: dict[str, Path] = {}
        self._root = root
        self._number = 0

    def folder(self, name: str) -> Path:
        self._number += 1
        self.latest[name] = self._root / str(self._number)
        return self.latest[name]


def _add_scalar(folder: Path, tags: list[str], values: np.ndarray) -> None:
    writer = SummaryWriter(str(folder))
    for step, row in enumerate(values.tolist()):
        for tag, value in zip(tags, row, strict=True):
            writer.add_scalar(tag, value, step)
    writer.close()


def _packed_protobuf(folder: Path, tags: list[str], values: np.ndarray) -> None:
    writer = EventFileWriter(str(folder))
    for step, row in enumerate(values.tolist()):
        parts = [Summary.Value(tag=tag, simple_value=value) for tag, value in zip(tags, row, strict=True)]
        writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=parts)))
    writer.close()


def _record(folder: Path, tags: list[str], values: np.ndarray, logged: np.ndarray | None) -> None:
    writer = RunWriter(folder, Manifest())
    for first in range(0, len(values), BLOCK):
        block = slice(first, first + BLOCK)
        steps = np.arange(first, first + len(values[block]))
        mask = None if logged is None else logged[block]
        writer.write_block(tags, steps, values[block], time.time() + steps, mask)
        writer.flush()
    writer.close(RunStatus.COMPLETED)


def _check(folder: Path, tags: list[str], values: np.ndarray) -> None:
    """Stop if TensorBoard does not read back what was written."""
    (path,) = folder.rglob("*tfevents*")
    found = np.full(values.shape, np.nan, np.float32)
    column = {tag: number for number, tag in enumerate(tags)}
    for record in RawEventFileLoader(str(path)).Load():
        event = Event.FromString(record)
        for value in event.summary.value:
            found[event.step, column[value.tag]] = value.simple_value
    if not np.array_equal(found, values.astype(np.float32)):
        raise SystemExit(f"{path}: TensorBoard reads something else than was written")


if __name__ == "__main__":
    sys.exit(main())
