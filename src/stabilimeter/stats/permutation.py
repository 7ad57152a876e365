"""Permutation tests: would another assignment of the seeds make a difference as large as this one?"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

MAX_EXACT = 40
"""Up to this many values every relabeling is counted (1.4e11 of them for 20 against 20); beyond, they are sampled."""

DRAWS = 9999
_CHUNK = 2_000_000


@dataclass(frozen=True)
class PermutationTest:
    """The result of a permutation test.

    Attributes:
        p: Two-sided: twice the smaller of the two one-sided shares, at most 1. A relabeling as extreme as the observed
            one counts, and the observed one is among them, so p is never 0.
        p_min: The smallest p that so many values can give, without ties.
        exact: Whether every relabeling was counted; otherwise ``p = 2 (k + 1) / (draws + 1)``.
    """

    p: float
    p_min: float
    exact: bool


def two_sample_test(first: Values, second: Values, *, rng: np.random.Generator, draws: int = DRAWS) -> PermutationTest:
    """Test of equal means: all values could have come from either side.

    Exact up to `MAX_EXACT` values in all, in well under a second: the sums over all subsets of the pool are counted
    from the sorted sums over the subsets of its two halves (Horowitz and Sahni 1974), never listed. Exact as a test of
    equal *distributions*; as a test of equal means it holds its level unless both spreads and numbers of seeds differ
    much. Fisher 1935; Phipson and Smyth 2010 for the sampled p.

    Args:
        first: Finite, shape ``(n,)``, n >= 1.
        second: Finite, shape ``(m,)``, m >= 1.
        rng: Source of the relabelings where they are sampled; not used otherwise.
        draws: How many are sampled then.

    >>> rng = np.random.default_rng(0)
    >>> result = two_sample_test(np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]), rng=rng)
    >>> round(result.p, 4), round(result.p_min, 4)  # 2 of the 20 relabelings: three against three never reach 0.05
    (0.1, 0.1)
    """
    first, second = _checked(first, "first"), _checked(second, "second")
    pool = np.concatenate([first, second])
    rounding = _rounding(pool)
    pool = pool - pool.mean()
    observed = float(pool[: first.size].sum())
    whole = math.comb(pool.size, first.size)
    if pool.size > MAX_EXACT:
        sums = np.concatenate(
            [
                rng.permuted(np.tile(pool, (rows, 1)), axis=1)[:, : first.size].sum(axis=1)
                for rows in _chunks(draws, pool.size)
            ]
        )
        return _sampled(sums, observed, rounding, whole)
    left, left_sizes = _subset_sums(pool[: pool.size // 2])
    right, right_sizes = _subset_sums(pool[pool.size // 2 :])
    at_most = at_least = 0
    for size in range(first.size + 1):
        low, high = _tails(left[left_sizes == size], right[right_sizes == first.size - size], observed, rounding)
        at_most, at_least = at_most + low, at_least + high
    return PermutationTest(_two_sided(min(at_most, at_least) / whole), _two_sided(1 / whole), exact=True)


def sign_flip_test(differences: Values, *, rng: np.random.Generator, draws: int = DRAWS) -> PermutationTest:
    """Test of a mean difference of zero between pairs: each difference could as well have the other sign.

    Args:
        differences: One finite difference per pair, shape ``(n,)``, n >= 1.
        rng: As for `two_sample_test`.
        draws: As for `two_sample_test`.

    >>> result = sign_flip_test(np.array([1.0, 2.0, 3.0]), rng=np.random.default_rng(0))
    >>> result.p, result.p_min  # 2 of the 8 patterns of signs: three pairs never reach 0.05, six do
    (0.25, 0.25)
    """
    differences = _checked(differences, "differences")
    n = differences.size
    rounding = _rounding(differences)
    observed = float(differences.sum())
    if n > MAX_EXACT:
        sums = np.concatenate(
            [rng.choice(np.array([-1.0, 1.0]), size=(rows, n)) @ differences for rows in _chunks(draws, n)]
        )
        return _sampled(sums, observed, rounding, 2**n)
    # A pattern of signs sums to twice the sum over its positive differences, less the sum over all of them.
    left, _ = _subset_sums(differences[: n // 2])
    right, _ = _subset_sums(differences[n // 2 :])
    at_most, at_least = _tails(left, right, observed, rounding)
    return PermutationTest(_two_sided(min(at_most, at_least) / 2**n), _two_sided(1 / 2**n), exact=True)


def _checked(values: Values, name: str) -> Values:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not np.all(np.isfinite(values)):
        raise ValueError(f"{name} must hold one finite value or more, got {values.tolist()}")
    return values


def _rounding(values: Values) -> float:
    """How far two sums may lie apart and still be ties: decimal values have no exact sums in binary."""
    return 16 * float(np.finfo(np.float64).eps) * values.size * float(np.abs(values).max())


def _subset_sums(values: Values) -> tuple[Values, NDArray[np.int64]]:
    """Sum and size of each of the ``2^n`` subsets."""
    sums, sizes = np.zeros(1), np.zeros(1, dtype=np.int64)
    for value in values:
        sums, sizes = np.concatenate([sums, sums + value]), np.concatenate([sizes, sizes + 1])
    return sums, sizes


def _tails(left: Values, right: Values, observed: float, rounding: float) -> tuple[int, int]:
    """How many sums of one value of each side are at most, and at least, the observed one."""
    left, right = np.sort(left), np.sort(right)
    at_most = np.searchsorted(right, observed + rounding - left, side="right").sum()
    below = np.searchsorted(right, observed - rounding - left, side="left").sum()
    return int(at_most), left.size * right.size - int(below)


def _sampled(sums: Values, observed: float, rounding: float, whole: int) -> PermutationTest:
    at_most, at_least = int(np.sum(sums <= observed + rounding)), int(np.sum(sums >= observed - rounding))
    finest = 1 / (sums.size + 1)
    share = (min(at_most, at_least) + 1) * finest
    return PermutationTest(_two_sided(share), _two_sided(max(1 / whole, finest)), exact=False)


def _two_sided(share: float) -> float:
    return min(1.0, 2 * share)


def _chunks(draws: int, width: int) -> list[int]:
    """Numbers of rows that add up to ``draws``, each few enough to be held in memory."""
    rows = max(1, _CHUNK // width)
    return [min(rows, draws - done) for done in range(0, draws, rows)]
