"""Comparing two shares: k of n against k of n."""

import math

_TIE = 1 + 1e-9
"""Tables whose probabilities differ by rounding are equally probable."""


def fisher_exact(first: tuple[int, int], second: tuple[int, int]) -> float:
    """Two-sided p of Fisher's exact test: all tables no more probable than the observed one, margins fixed.

    Args:
        first: ``(k, n)``: k of n, 0 <= k <= n, n >= 1.
        second: The same for the other side.

    >>> round(fisher_exact((0, 5), (2, 5)), 4), round(fisher_exact((0, 5), (5, 5)), 4)
    (0.4444, 0.0079)
    """
    for k, n in (first, second):
        if not 0 <= k <= n or n < 1:
            raise ValueError(f"fisher_exact needs 0 <= k <= n and n >= 1, got {k} of {n}")
    (k, n), (other, m) = first, second
    total = k + other
    ways = [math.comb(n, hits) * math.comb(m, total - hits) for hits in range(min(n, total) + 1)]
    probable = ways[k] * _TIE
    return min(1.0, sum(way for way in ways if way <= probable) / sum(ways))
