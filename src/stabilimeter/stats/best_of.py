"""What the best of several runs is worth."""

import numpy as np
from numpy.typing import NDArray


def expected_best(values: NDArray[np.float64], k: int, mode: str) -> float:
    """Expected best of ``k`` runs, each drawn from those that were seen.

    ``sum over v of v (P(V <= v)^k - P(V < v)^k)`` with P the empirical distribution, exactly; for ``mode="min"`` the
    mirror image. What is reported by whoever shows the best of k seeds; k = 1 is the mean, what one run of a user will
    give. Drawn with replacement, so that k may exceed the number of runs; it cannot exceed the best that was seen.
    Dodge et al. 2019, "Show your work: improved reporting of experimental results", section 3.

    Args:
        values: Final value of each run, shape ``(n,)``, finite, n >= 1.
        k: Number of runs, 1 or more.
        mode: ``"min"`` or ``"max"``: which direction is better.

    >>> [round(expected_best(np.array([0.7, 0.8, 0.9]), k, "max"), 4) for k in (1, 2, 3)]
    [0.8, 0.8444, 0.8667]
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = ordered.size
    if n == 0 or not np.all(np.isfinite(ordered)):
        raise ValueError(f"expected_best needs one finite value or more, got {ordered.tolist()}")
    if k < 1:
        raise ValueError(f"k must be 1 or more, got {k}")
    if mode not in ("min", "max"):
        raise ValueError(f"mode must be 'min' or 'max', got {mode!r}")
    if mode == "min":
        ordered = ordered[::-1]
    ranks = np.arange(n + 1) / n
    return float(ordered @ np.diff(ranks**k))
