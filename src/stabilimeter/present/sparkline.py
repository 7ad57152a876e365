"""A curve as a row of block characters."""

import numpy as np
from numpy.typing import NDArray

BLOCKS = "▁▂▃▄▅▆▇█"
GAP = "·"
"""Stands where a curve has no finite value."""


def sparkline(values: NDArray[np.float64], width: int, scale_from: int = 0) -> str:
    """A curve from its lowest value (lowest block) to its highest, on a scale of its own.

    A cell that stands for several values shows their mean; a curve with fewer values than cells becomes stairs. A
    constant curve is drawn at half height.

    Args:
        values: Shape ``(n,)``, in order; what is not finite is a gap.
        width: Number of cells, at least 1.
        scale_from: Cells before this one do not count for the scale, and are cut off at its ends.

    Returns:
        ``width`` characters; nothing for a curve without values.

    >>> sparkline(np.arange(8.0), 8), sparkline(np.array([1.0, np.nan, 3.0]), 6), sparkline(np.ones(9), 3)
    ('▁▂▃▄▅▆▇█', '▁▁··██', '▄▄▄')
    """
    if values.size == 0:
        return ""
    edges = np.arange(width + 1) * values.size / width
    starts, ends = np.floor(edges[:-1]).astype(int), np.ceil(edges[1:]).astype(int)
    cells = np.array([_mean(values[start:end]) for start, end in zip(starts, ends, strict=True)])
    finite = np.isfinite(cells)
    if not finite.any():
        return GAP * width
    # Halves, because the distance of two numbers can be beyond the largest one.
    halves = np.where(finite, cells, 0.0) / 2
    counted = halves[scale_from:][finite[scale_from:]]
    if not counted.size:
        counted = halves[finite]
    low, high = counted.min(), counted.max()
    heights = (np.clip(halves, low, high) - low) / (high - low) if high > low else np.full(width, 0.49)
    levels = np.minimum(heights * len(BLOCKS), len(BLOCKS) - 1).astype(int)
    return "".join(BLOCKS[level] if known else GAP for level, known in zip(levels, finite, strict=True))


def can_draw(encoding: str) -> bool:
    """Whether text in this encoding can hold a sparkline.

    >>> can_draw("utf-8"), can_draw("iso-8859-1"), can_draw("cp437")
    (True, False, False)
    """
    try:
        (BLOCKS + GAP).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.mean(known / known.size) * known.size) if known.size else float("nan")
