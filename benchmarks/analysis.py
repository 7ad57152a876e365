"""How fast logs are read and seeds compared, beside the tools that do the same, every value read being compared first.

    python benchmarks/analysis.py                       event files made here: 10,000 steps of 10 scalars each
    python benchmarks/analysis.py --files RUN/events*   your own event files
    python benchmarks/analysis.py --strict              exit status 1 if a target is missed

Readers: TensorBoard's EventAccumulator, tbparse, tensorboard-reducer. Intervals: rliable. Tests: deepsig (its ASO), at
the same number of draws. Whichever is not installed is left out, and said. They do not agree with the newest pandas;
an environment of their own serves:

    python -m venv peers && peers/bin/pip install . tensorboard tbparse tensorboard-reducer rliable deepsig 'pandas<3'
    peers/bin/python benchmarks/analysis.py

Ratios are taken within a round, in which everything runs once, in processor time. We read a sweep of 20 files, and the
time is that of one; the others gain nothing by several, and read one. TensorBoard keeps 10,000 scalars per
tag unless told otherwise; here it is told to keep all.
"""

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.util.tensor_util import make_ndarray

from rounds import quartiles, seconds
from stabilimeter.records.events import encoding
from stabilimeter.records.events.decoding import read_event_file
from stabilimeter.records.events.layouts import Layouts
from stabilimeter.stats.intervals import bootstrap_t_interval
from stabilimeter.stats.permutation import two_sample_test

TAGS = [f"{family}/metric_{number}" for family in ("train", "validation") for number in range(5)]
OURS = "stabilimeter"
REGULAR, IRREGULAR = 150.0, 25.0
"""How many times faster than each of the other readers, where every step logs the same and where it does not."""
RLIABLE, DEEPSIG = 30.0, 1000.0

Ways = dict[str, Callable[[], object]]


@dataclass(frozen=True)
class Task:
    """Something that several tools do; ours, which does it ``repeats`` times, is to be ``target`` times faster."""

    name: str
    ways: Ways
    target: float
    repeats: int = 1


def main() -> int:
    """Make or take the files, check what is read from them, time everybody, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", nargs="+", type=Path, help="event files to read instead of those made here")
    parser.add_argument("--steps", type=int, default=10_000, help="steps in each file made here (default: 10000)")
    parser.add_argument("--runs", type=int, default=20, help="files of a sweep that we read in a round (default: 20)")
    parser.add_argument("--draws", type=int, default=1000, help="draws of intervals and tests (default: 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument("--strict", action="store_true", help="exit status 1 if a target is missed")
    parser.add_argument("--seed", type=int, default=0, help="seed of the values and of the order (default: 0)")
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    missed = 0
    print(f"{'task':18} {'tool':20} {'ms':>10} {OURS + ' is so many times faster':>34}")
    with tempfile.TemporaryDirectory() as scratch:
        files = arguments.files or _made_here(Path(scratch), arguments.steps, rng)
        tasks = [*_reading(files, arguments.runs), *_statistics(rng, arguments.draws)]
        for number, task in enumerate(tasks):
            _progress(f"{task.name} ({number + 1} of {len(tasks)})")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the other tools
                missed += _report(task, seconds(task.ways, arguments.rounds, rng))
    return 1 if missed and arguments.strict else 0


def _report(task: Task, times: Mapping[str, np.ndarray]) -> int:
    """Print the rows of a task; how many targets were missed."""
    _progress("")
    missed = 0
    times = {**times, OURS: times[OURS] / task.repeats}
    for name, spent in times.items():
        verdict = ""
        if name != OURS:
            low, middle, high = quartiles(spent / times[OURS])
            verdict = (
                f"{middle:8.1f} [{low:.1f}, {high:.1f}], {task.target:g} {'met' if middle >= task.target else 'MISSED'}"
            )
            missed += middle < task.target
        print(f"{task.name:18} {name:20} {1000 * float(np.median(spent)):10.2f} {verdict:>34}", flush=True)
    return missed


def _progress(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


def _sweep(file: Path, runs: int) -> None:
    """Read a file as often as a sweep has runs."""
    layouts = Layouts()
    for _ in range(runs):
        read_event_file(file, layouts)


def _reading(files: list[Path], runs: int) -> list[Task]:
    readers = _readers()
    tasks = []
    for path in files:
        _progress(f"checking {path.name}")
        _compare(path)
        ways: Ways = {}
        for name, read in readers.items():
            try:
                read(path)
            except (OSError, ValueError, KeyError) as error:  # tensorboard-reducer knows no tensors
                print(f"{path.parent.name[-18:]:18} {name:20} cannot read it: {type(error).__name__}")
            else:
                ways[name] = lambda read=read, path=path: read(path)
        ways[OURS] = lambda path=path: _sweep(path, runs)
        target = IRREGULAR if path.parent.name == "with-evaluations" else REGULAR
        tasks.append(Task(path.parent.name[-18:], ways, target, runs))
    return tasks


def _readers() -> dict[str, Callable[[Path], object]]:
    readers: dict[str, Callable[[Path], object]] = {OURS: read_event_file, "EventAccumulator": _accumulated}
    try:
        from tbparse import SummaryReader
    except ImportError:
        _not_installed("tbparse")
    else:
        readers["tbparse"] = lambda path: SummaryReader(str(path)).scalars
    try:
        from tensorboard_reducer import load_tb_events
    except ImportError:
        _not_installed("tensorboard-reducer")
    else:
        readers["tensorboard-reducer"] = lambda path: load_tb_events([str(path.parent)], verbose=False)
    return readers


def _statistics(rng: np.random.Generator, draws: int) -> list[Task]:
    """An interval for a mean of ten seeds; whether two recipes of 30 seeds differ, by a test that samples."""
    few = rng.normal(size=10)
    first, second = rng.normal(size=(2, 30))
    tasks = []
    try:
        from rliable.library import get_interval_estimates
        from rliable.metrics import aggregate_mean
    except ImportError:
        _not_installed("rliable")
    else:
        estimate = {"recipe": few[:, None]}
        ways: Ways = {
            OURS: lambda: bootstrap_t_interval(few, rng=rng, draws=draws),
            "rliable": lambda: get_interval_estimates(estimate, lambda x: np.array([aggregate_mean(x)]), reps=draws),
        }
        tasks.append(Task("interval", ways, RLIABLE))
    try:
        from deepsig import aso
    except ImportError:
        _not_installed("deepsig")
    else:
        ways = {
            OURS: lambda: two_sample_test(first, second, rng=rng, draws=draws),
            "deepsig (ASO)": lambda: aso(first, second, num_bootstrap_iterations=draws, show_progress=False),
        }
        tasks.append(Task("test", ways, DEEPSIG))
    return tasks


def _not_installed(name: str) -> None:
    print(f"{name}: not installed here, left out")


def _made_here(folder: Path, steps: int, rng: np.random.Generator) -> list[Path]:
    values = rng.normal(size=(steps, len(TAGS)))
    names = ("one-per-event", "with-evaluations", "as-tensors", "packed")
    contents: dict[str, list[bytes]] = {name: [encoding.file_header(0.0)] for name in names}
    for step, row in enumerate(values):
        for tag, value in zip(TAGS, row.tolist(), strict=True):
            contents["one-per-event"].append(encoding.scalars_event(1e9 + step, step, {tag: value}))
            contents["as-tensors"].append(_tensor_event(1e9 + step, step, tag, value))
        contents["with-evaluations"] += contents["one-per-event"][-len(TAGS) :]
        if step % 50 == 49:
            contents["with-evaluations"].append(encoding.scalars_event(1e9 + step, step, {"test/score": row[0]}))
        contents["packed"].append(encoding.scalars_event(1e9 + step, step, dict(zip(TAGS, row, strict=True))))
    paths = []
    for name, content in contents.items():
        (folder / name).mkdir()
        paths.append(folder / name / "events.out.tfevents.1")
        paths[-1].write_bytes(b"".join(content))
    return paths


def _tensor_event(wall_time: float, step: int, tag: str, value: float) -> bytes:
    """A scalar as TensorFlow 2 writes it."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto

    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"))
    tensor = TensorProto(dtype="DT_FLOAT", tensor_content=np.float32(value).tobytes())
    message = Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=metadata)])
    return encoding.summary_event(wall_time, step, message.SerializeToString())


def _accumulated(path: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(path), size_guidance={"scalars": 0, "tensors": 0})
    accumulator.Reload()
    return accumulator


def _raw(path: Path) -> dict[str, list[tuple[int, float]]]:
    points: dict[str, list[tuple[int, float]]] = {}
    for record in RawEventFileLoader(str(path)).Load():
        event = Event.FromString(record)
        for value in event.summary.value:
            if value.HasField("simple_value"):
                points.setdefault(value.tag, []).append((event.step, value.simple_value))
            elif value.HasField("tensor") and not value.tensor.tensor_shape.dim and value.tensor.dtype != 7:
                points.setdefault(value.tag, []).append((event.step, make_ndarray(value.tensor).item()))
    return points


def _compare(path: Path) -> None:
    """Stop if our reader and TensorBoard's disagree on any scalar."""
    ours, theirs = read_event_file(path).scalars, _raw(path)
    if set(ours) != set(theirs):
        raise SystemExit(f"{path}: tags differ: {sorted(set(ours) ^ set(theirs))}")
    for tag, points in theirs.items():
        steps, values = zip(*points, strict=True)
        if not np.array_equal(ours[tag].steps, steps) or not np.array_equal(ours[tag].values, values, equal_nan=True):
            raise SystemExit(f"{path}: {tag} differs")


if __name__ == "__main__":
    sys.exit(main())
