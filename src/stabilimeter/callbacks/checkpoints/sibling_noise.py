"""What the evaluations of other seeds tell about the noise of an evaluation."""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from stabilimeter.callbacks.recording.configuration import output_folder
from stabilimeter.records import keys
from stabilimeter.records.manifest import MANIFEST_FILE, RECORD_DIR
from stabilimeter.records.siblings import Siblings, folder_of_siblings
from stabilimeter.stats.evaluation_noise import EvaluationNoise, seed_noise

_READING_S = 5.0


class SiblingNoise:
    """Noise at a step, from evaluations of other seeds at the same steps.

    Args:
        curves: Step -> metric of each sibling. Those with a non-finite value have gone wrong, and those with less than
            half as many evaluations as the longest have only begun: neither count.
    """

    def __init__(self, curves: Sequence[Mapping[int, float]]) -> None:
        finite = [curve for curve in curves if all(map(math.isfinite, curve.values()))]
        longest = max(map(len, finite), default=0)
        chosen = [curve for curve in finite if 2 * len(curve) >= longest]
        self._steps = sorted(set.intersection(*map(set, chosen))) if chosen else []
        self._values = np.array([[curve[step] for step in self._steps] for curve in chosen])

    def at(self, step: int) -> EvaluationNoise | None:
        """None where siblings are too few."""
        return seed_noise(self._values, int(np.searchsorted(self._steps, step))) if self._steps else None


def read_sibling_noise(run: Path | None, monitor: str) -> SiblingNoise:
    """From the records that siblings have written by now; those that failed do not count.

    Args:
        run: Folder of the run. Without a `StabilityMonitor`'s record in it, nothing tells who its siblings are.
        monitor: The metric.
    """
    if run is None or not (run / RECORD_DIR / MANIFEST_FILE).is_file():
        return SiblingNoise([])
    siblings = Siblings(folder_of_siblings(run.resolve(), output_folder()), run)
    found = siblings.read([monitor, keys.LOSS], time.monotonic() + _READING_S)
    points = [sibling.points(monitor) for sibling in found if not sibling.failed]
    return SiblingNoise([dict(zip(p.steps.tolist(), p.values.tolist(), strict=True)) for p in points if p is not None])
