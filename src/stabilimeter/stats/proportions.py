"""Comparing two shares: k of n against k of n."""

import math

from stabilimeter.stats.effect import Difference, mover_difference
from stabilimeter.stats.intervals import wilson_interval

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


def newcombe_difference(first: tuple[int, int], second: tuple[int, int], level: float = 0.95) -> Difference:
    """Share of ``second`` less share of ``first``, with Newcombe's interval from the two of Wilson.

    Newcombe 1998, method 10.

    Args:
        first: ``(k, n)``: k of n, 0 <= k <= n, n >= 1.
        second: The same for the other side.
        level: Confidence level, in (0, 1).

    >>> result = newcombe_difference((48, 80), (56, 70))
    >>> round(result.value, 4), round(result.low, 4), round(result.high, 4)
    (0.2, 0.0524, 0.3339)
    """
    shares = [k / n for k, n in (first, second)]
    return mover_difference(shares[0], wilson_interval(*first, level), shares[1], wilson_interval(*second, level))
