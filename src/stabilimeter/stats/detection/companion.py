"""A second signal that is measured with the first, and what it adds to a turn for the worse.

Where training goes wrong the gradient norm tends to rise with the loss. So the normal score of its rank among its own
recent past is added to that of the loss, and the sum is brought back to unit variance. The weight is that of Fisher's
linear discriminant for a rise of both, under the correlation that the two have shown: a norm that only repeats the
loss adds nothing, one that is independent of it shortens the wait. Where the loss alone says more, that counts. A norm
that grows alone adds nothing either, as it does in many a healthy run.

Source: R. A. Fisher, The use of multiple measurements in taxonomic problems, Annals of Eugenics 7 (1936).
"""

from math import inf, log, sqrt
from typing import NamedTuple

from stabilimeter.stats.detection import setback
from stabilimeter.stats.detection.setback import Setback, Support

KEPT = 1.0 - 1.0 / 128
"""Part of each sum that is left after one more value."""

PRIOR, PRIOR_PAIRS = 0.5, 20.0
"""Correlation before anything is known, and how many values that counts for."""


class Companion(NamedTuple):
    """What is known of the second signal.

    Attributes:
        past: Its own recent past.
        squares: Sum of its squared scores, slowly forgotten.
        other_squares: The same of the scores of the series that it accompanies.
        products: The same of the products of both.
    """

    past: Setback = Setback()
    squares: float = 0.0
    other_squares: float = 0.0
    products: float = 0.0

    @property
    def correlation(self) -> float:
        """Of the scores of both, 0 to 1; 0.5 before anything is known."""
        squares = (self.squares + PRIOR_PAIRS) * (self.other_squares + PRIOR_PAIRS)
        return min(max((self.products + PRIOR * PRIOR_PAIRS) / sqrt(squares), 0.0), 1.0)


def followed(
    companion: Companion | None, value: float | None, series: Setback, y: float
) -> tuple[Companion | None, Support | None]:
    """The state after one more value, and what that says of the step; None while too little is known.

    Args:
        companion: The state before; None if there never was a value.
        value: The value in its own unit; high is bad. What is no magnitude is passed over.
        series: What is known of the series that it accompanies.
        y: The value of that at the same step, as judged.
    """
    if value is None or not 0.0 < value < inf:
        return companion, None
    log_value, companion = log(value), companion or Companion()
    past, *sums = companion
    after = setback.remembered(past, log_value)
    if not past.reference:
        return companion._replace(past=after), None
    own = setback.score(past.reference, log_value, past.dependence)
    support = Support(own, companion.correlation)
    if series.reference:
        other = setback.score(series.reference, y, series.dependence)
        new = (own * own, other * other, own * other)
        sums = [KEPT * total + more for total, more in zip(sums, new, strict=True)]
    return Companion(after, *sums), support
