import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

from stabilimeter.records.events import encoding


@pytest.fixture
def frame() -> Callable[[Event | bytes], bytes]:
    """A TFRecord frame made with TensorBoard's own checksum."""

    def make(event: Event | bytes) -> bytes:
        data = event if isinstance(event, bytes) else event.SerializeToString()
        length = struct.pack("<Q", len(data))
        return length + struct.pack("<I", masked_crc32c(length)) + data + struct.pack("<I", masked_crc32c(data))

    return make


@pytest.fixture
def event_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes ``{tag: {step: value}}``, one scalar per event in order of steps, as a foreign logger would."""

    def make(
        series: Mapping[str, Mapping[int, float]],
        *,
        folder: str | Path = "run",
        stamp: int = 1,
        start: int | None = None,
    ) -> Path:
        path = tmp_path / folder / f"events.out.tfevents.{stamp:010d}.host.1.0"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = [encoding.file_header(float(stamp))]
        if start is not None:
            content.append(encoding.session_start(float(stamp), start))
        for step in sorted({step for points in series.values() for step in points}):
            content += [
                encoding.scalars_event(float(stamp + step), step, {tag: points[step]})
                for tag, points in series.items()
                if step in points
            ]
        path.write_bytes(b"".join(content))
        return path

    return make


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261123)
