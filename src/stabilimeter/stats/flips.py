"""What changed, example by example, between two checkpoints of a model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Flips:
    """Examples whose outcome differs between an old and a new checkpoint.

    Attributes:
        n: Examples that both have seen.
        negative: Right before, wrong now.
        positive: Wrong before, right now.
    """

    n: int
    negative: int
    positive: int

    @property
    def negative_rate(self) -> float:
        """Share of all examples that were right and are wrong: the NFR of Yan et al. 2021, equation 1."""
        return self.negative / self.n


def flips(old: NDArray[np.bool_], new: NDArray[np.bool_]) -> Flips:
    """Negative and positive flips from ``old`` to ``new``.

    Two checkpoints of equal accuracy can disagree on many examples; to those who relied on the old one each negative
    flip is a regression. Yan et al. 2021, "Positive-congruent training", section 3.

    Args:
        old: Whether the old checkpoint gets each example right, shape ``(n,)``, n >= 1.
        new: The same of the new one.

    >>> result = flips(np.array([True, True, False, False]), np.array([True, False, True, False]))
    >>> result, result.negative_rate
    (Flips(n=4, negative=1, positive=1), 0.25)
    """
    old, new = np.asarray(old, dtype=bool), np.asarray(new, dtype=bool)
    if old.ndim != 1 or old.size == 0 or old.shape != new.shape:
        raise ValueError(f"flips needs two arrays of one shape (n,), got {old.shape} and {new.shape}")
    return Flips(old.size, int(np.sum(old & ~new)), int(np.sum(~old & new)))
