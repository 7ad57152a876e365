"""What a flush brings to the host."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Vectors(NamedTuple):
    """One number per parameter tensor, or per what else the signal names, at some steps.

    Attributes:
        steps: The steps, shape (n,), increasing.
        on_stride: Which of them are to be kept, same shape.
        values: Shape (n, length).
    """

    steps: NDArray[np.int64]
    on_stride: NDArray[np.bool_]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Block:
    """What a flush took from a track, on the host.

    Attributes:
        keys: Key of each column.
        steps: Step of each row.
        values: Shape (num_rows, num_keys).
        measured: Which values exist, same shape.
        wall_times: When each row was complete, in seconds since the epoch.
        batches: Batch index of each row within its epoch.
        epochs: Epoch of each row.
        vectors: The vectors, by key.
    """

    keys: list[str]
    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    measured: NDArray[np.bool_]
    wall_times: NDArray[np.float64]
    batches: list[int]
    epochs: list[int]
    vectors: dict[str, Vectors]
