"""Several tests at once."""

from collections.abc import Sequence

import numpy as np


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment: compare each with the level as if it were the only one.

    ``max over i <= j of min(1, (m - i + 1) p_(i))``. Holds the chance of *any* false alarm among all m tests at the
    level, however they depend on each other; never weaker than Bonferroni. Holm 1979.

    Args:
        p: One p per test, each in [0, 1].

    Returns:
        The adjusted values, in the order given.

    >>> [round(value, 3) for value in holm([0.010, 0.011, 0.012])], [round(value, 3) for value in holm([0.5, 0.02])]
    ([0.03, 0.03, 0.03], [0.5, 0.04])
    """
    values = np.asarray(p, dtype=np.float64)
    if not np.all((values >= 0) & (values <= 1)):
        raise ValueError(f"p must lie in [0, 1], got {list(p)}")
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(values.size, 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]
