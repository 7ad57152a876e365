"""How fast event files are read, beside TensorBoard's own readers, with every value compared first.

    python benchmarks/reading.py                      files made here: 100,000 scalars in several arrangements
    python benchmarks/reading.py --files RUN/events*  your own event files
    python benchmarks/reading.py --at-least 20        exit status 1 if the slowest ratio is below 20

Ratios are taken within a round, in which every reader reads every file once. TensorBoard keeps 10,000 scalars per tag
unless told otherwise; here it is told to keep all.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.util.tensor_util import make_ndarray

from rounds import quartiles, seconds
from stabilimeter.records import event_encoding
from stabilimeter.records.event_decoding import read_event_file

TAGS = [f"{family}/metric_{number}" for family in ("train", "validation") for number in range(5)]
OURS = "stabilimeter"
ACCUMULATOR = "EventAccumulator"
RAW = "RawEventFileLoader + protobuf"


def main() -> int:
    """Make or take the files, check them, time the readers, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", nargs="+", type=Path, help="event files to read instead of those made here")
    parser.add_argument("--scalars", type=int, default=100_000, help="scalars in each file made here (default: 100000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--at-least", type=float, help="smallest acceptable ratio to EventAccumulator")
    parser.add_argument("--seed", type=int, default=0, help="seed of the values and of the order (default: 0)")
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    worst = np.inf
    print(f"{'file':28} {'reader':32} {'ms':>9} {'scalars/s':>12} {'x EventAccumulator [IQR]':>28}")
    with tempfile.TemporaryDirectory() as scratch:
        files = arguments.files or _made_here(Path(scratch), arguments.scalars, rng)
        for path in files:
            readers: dict[str, Callable[[], object]] = {
                ACCUMULATOR: lambda path=path: _accumulated(path),
                RAW: lambda path=path: _raw(path),
                OURS: lambda path=path: read_event_file(path),
            }
            total = _compare(path)
            times = seconds(readers, arguments.rounds, rng)
            for name, spent in times.items():
                low, middle, high = quartiles(times[ACCUMULATOR] / spent)
                median = float(np.median(spent))
                print(
                    f"{path.name[-28:]:28} {name:32} {1000 * median:9.1f} {total / median:12,.0f} "
                    f"{middle:12.1f} [{low:.1f}, {high:.1f}]"
                )
                worst = min(worst, middle) if name == OURS else worst
    if arguments.at_least is not None and worst < arguments.at_least:
        print(f"slowest ratio {worst:.1f} is below {arguments.at_least:g}", file=sys.stderr)
        return 1
    return 0


def _made_here(folder: Path, scalars: int, rng: np.random.Generator) -> list[Path]:
    steps = scalars // len(TAGS)
    values = rng.normal(size=(steps, len(TAGS)))
    names = ("one-per-event", "with-evaluations", "as-tensors", "packed")
    contents: dict[str, list[bytes]] = {name: [event_encoding.file_header(0.0)] for name in names}
    for step, row in enumerate(values):
        for tag, value in zip(TAGS, row.tolist(), strict=True):
            contents["one-per-event"].append(event_encoding.scalars_event(1e9 + step, step, {tag: value}))
            contents["as-tensors"].append(_tensor_event(1e9 + step, step, tag, value))
        contents["with-evaluations"] += contents["one-per-event"][-len(TAGS) :]
        if step % 50 == 49:
            contents["with-evaluations"].append(event_encoding.scalars_event(1e9 + step, step, {"test/score": row[0]}))
        contents["packed"].append(event_encoding.scalars_event(1e9 + step, step, dict(zip(TAGS, row, strict=True))))
    paths = []
    for name, content in contents.items():
        paths.append(folder / f"events.out.tfevents.{name}")
        paths[-1].write_bytes(b"".join(content))
    return paths


def _tensor_event(wall_time: float, step: int, tag: str, value: float) -> bytes:
    """A scalar as TensorFlow 2 writes it."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto

    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"))
    tensor = TensorProto(dtype="DT_FLOAT", tensor_content=np.float32(value).tobytes())
    message = Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=metadata)])
    return event_encoding.summary_event(wall_time, step, message.SerializeToString())


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


def _compare(path: Path) -> int:
    """Number of scalars in a file; stops if our reader and TensorBoard's disagree on any."""
    ours, theirs = read_event_file(path).scalars, _raw(path)
    if set(ours) != set(theirs):
        raise SystemExit(f"{path}: tags differ: {sorted(set(ours) ^ set(theirs))}")
    for tag, points in theirs.items():
        steps, values = zip(*points, strict=True)
        if not np.array_equal(ours[tag].steps, steps) or not np.array_equal(ours[tag].values, values, equal_nan=True):
            raise SystemExit(f"{path}: {tag} differs")
    return sum(len(points) for points in theirs.values())


if __name__ == "__main__":
    sys.exit(main())
