"""How much one evaluation scatters when nothing has changed."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.noise import MAD_TO_SD, noise_sd

MIN_SIBLINGS = 2
MIN_SHARED_EVALUATIONS = 4
WINDOW = 10
"""Changes between evaluations that are pooled over siblings: those nearest to the step in question, because noise falls
with the learning rate."""

_MAD_EFFICIENCY = 0.37
"""A MAD tells as much as a standard deviation of this share of the values (Gaussian)."""
_OWN_DF_PER_POINT = 0.5
"""Degrees of freedom of `noise_sd`, with which Student's t holds its level: benchmarks/checkpoints.py."""


@dataclass(frozen=True)
class EvaluationNoise:
    """Noise of a single evaluation.

    Attributes:
        sd: Standard deviation, in the metric's unit.
        df: Degrees of freedom of ``sd``, for Student's t.
        source: ``"seed noise"`` or ``"series noise"``.
    """

    sd: float
    df: float
    source: str


def series_noise(values: NDArray[np.float64]) -> EvaluationNoise | None:
    """Noise of the evaluations of one run around their own trend, by `noise_sd`.

    Args:
        values: The evaluations before the one to be judged, in order, shape ``(n,)``; non-finite ones are left out.

    Returns:
        None for fewer than 5 finite values.
    """
    sd = noise_sd(values)
    if math.isnan(sd):
        return None
    n = int(np.isfinite(values).sum())
    return EvaluationNoise(sd, max(1.0, _OWN_DF_PER_POINT * (n - 2)), "series noise")


def seed_noise(siblings: NDArray[np.float64], index: int) -> EvaluationNoise | None:
    """Noise of an evaluation, from runs of the same recipe with other seeds.

    The changes from one evaluation to the next are taken, and compared between each two siblings: what all seeds do,
    the trend and the schedule, is no noise, nor are lasting differences between seeds. A difference of two changes
    holds the noise of four evaluations, so ``1.4826 * median |difference| / 2``, over the `WINDOW` changes nearest to
    ``index``, is that of one. It is a median, so that one sibling that broke down does not make all look ordinary.

    Args:
        siblings: Evaluations at the same steps, shape ``(num_seeds, num_evaluations)``, finite.
        index: The evaluation to be judged.

    Returns:
        None for fewer than 2 siblings or 4 evaluations.

    >>> siblings = np.array([[9.0, 5.1, 3.0, 2.1, 1.5], [9.2, 5.1, 3.2, 2.1, 1.7]])
    >>> round(seed_noise(siblings, 4).sd, 3)  # 1.4826 * 0.2 / 2
    0.148
    """
    siblings = np.asarray(siblings, dtype=np.float64)
    if siblings.ndim != 2 or not np.all(np.isfinite(siblings)):
        raise ValueError(f"siblings must be finite and of shape (num_seeds, num_evaluations), got {siblings.shape}")
    num_seeds, num_evaluations = siblings.shape
    if num_seeds < MIN_SIBLINGS or num_evaluations < MIN_SHARED_EVALUATIONS:
        return None
    changes = np.diff(siblings, axis=1)
    first = min(max(0, index - WINDOW // 2), max(0, changes.shape[1] - WINDOW))
    near = changes[:, first : first + WINDOW]
    one, other = np.triu_indices(num_seeds, k=1)
    sd = MAD_TO_SD * float(np.median(np.abs(near[one] - near[other]))) / 2
    independent = (num_seeds - 1) * near.shape[1] * 2 / 3  # neighbouring changes share an evaluation
    return EvaluationNoise(sd, max(1.0, _MAD_EFFICIENCY * independent), "seed noise")
