"""Two checkpoints on the same examples: which outcomes changed, and could it be chance?"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stabilimeter.stats.permutation import MAX_EXACT, sign_flip_test


@dataclass(frozen=True)
class PairedTest:
    """A paired test of two checkpoints.

    Attributes:
        difference: Mean over the examples of new minus old.
        se: Standard error of that mean; NaN for one example.
        p: Two-sided p value.
        test: ``"mcnemar"``, ``"sign flip"`` or ``"paired t"``.
    """

    difference: float
    se: float
    p: float
    test: str


def mcnemar_p(negative: int, positive: int) -> float:
    """Two-sided p of McNemar's exact test: of the examples that changed, as many to the worse as to the better?

    ``min(1, 2 P(X <= min(b, c)))`` with X binomial(b + c, 1/2). McNemar 1947; the exact form as in Fagerland, Lydersen
    and Laake 2013, equation 4. Examples that both checkpoints get right, or both wrong, say nothing and do not enter.

    Args:
        negative: b, examples that were right and are wrong.
        positive: c, examples that were wrong and are right.

    >>> mcnemar_p(6, 1)  # 2 * (1 + 7) / 2**7
    0.125
    >>> mcnemar_p(3, 3), mcnemar_p(0, 0)
    (1.0, 1.0)
    """
    from scipy.special import bdtr

    if negative < 0 or positive < 0:
        raise ValueError(f"mcnemar_p needs two counts, got {negative} and {positive}")
    changed = negative + positive
    return 1.0 if changed == 0 else min(1.0, 2 * float(bdtr(min(negative, positive), changed, 0.5)))


def paired_difference(differences: NDArray[np.float64]) -> PairedTest:
    """Test of a mean difference of zero over examples: exact sign flips up to 40 examples, Student's t beyond.

    Args:
        differences: New minus old per example, finite, shape ``(n,)``, n >= 1.

    >>> round(paired_difference(np.array([0.5, 0.7, 0.4, 0.6, 0.3, 0.5])).p, 4)  # 2 of the 64 patterns of signs
    0.0312
    """
    differences = np.asarray(differences, dtype=np.float64)
    n = differences.size
    if differences.ndim != 1 or n == 0 or not np.all(np.isfinite(differences)):
        raise ValueError(f"paired_difference needs finite differences of shape (n,), got {differences.shape}")
    mean = float(differences.mean())
    se = float(differences.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    if n <= MAX_EXACT:
        p = sign_flip_test(differences, rng=np.random.default_rng(0)).p  # exact up to here: the generator rests
        return PairedTest(mean, se, p, "sign flip")
    return PairedTest(mean, se, _t_p(mean, se, n - 1), "paired t")


def paired_correctness(old: NDArray[np.bool_], new: NDArray[np.bool_]) -> PairedTest:
    """Test of equal accuracy on the same examples, by `mcnemar_p`.

    Args:
        old: Whether the old checkpoint gets each example right, shape ``(n,)``, n >= 1.
        new: The same of the new one.

    >>> old, new = np.array([True] * 8 + [False] * 2), np.array([False] * 6 + [True] * 4)
    >>> result = paired_correctness(old, new)
    >>> result.difference, round(result.p, 4)  # 6 got lost, 2 were won: 2 * (1 + 8 + 28) / 2**8
    (-0.4, 0.2891)
    """
    old, new = np.asarray(old, dtype=bool), np.asarray(new, dtype=bool)
    if old.ndim != 1 or old.size == 0 or old.shape != new.shape:
        raise ValueError(f"paired_correctness needs two arrays of one shape (n,), got {old.shape} and {new.shape}")
    negative, positive = int(np.sum(old & ~new)), int(np.sum(~old & new))
    n = old.size
    difference = (positive - negative) / n
    se = math.sqrt((negative + positive - n * difference**2) / (n - 1) / n) if n > 1 else math.nan
    return PairedTest(difference, se, mcnemar_p(negative, positive), "mcnemar")


def _t_p(mean: float, se: float, df: int) -> float:
    from scipy.special import stdtr

    if se == 0:
        return 1.0 if mean == 0 else 0.0
    return min(1.0, 2 * float(stdtr(df, -abs(mean) / se)))
