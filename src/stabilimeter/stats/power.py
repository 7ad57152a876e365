"""How many seeds an answer needs."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from stabilimeter.stats.intervals import t_quantile

POWER = 0.8
ALPHA = 0.05
MAX_SEEDS = 10_000
"""More than this is no plan; the answer is then None."""

MIN_UNPAIRED = 4
MIN_PAIRS = 6
"""Seeds per side from which a permutation test can reach ``p <= 0.05`` at all: 2/C(8, 4) = 0.029, 2/2^6 = 0.031."""


@dataclass(frozen=True)
class Noise:
    """What the differences of means have to be seen against.

    Attributes:
        first: Standard deviation over seeds of one side; of the differences, if paired.
        second: Of the other side; None if paired.
    """

    first: float
    second: float | None = None

    def standard_error(self, n: int) -> float:
        """Of the difference of means with n seeds per side."""
        return math.hypot(self.first, self.second or 0.0) / math.sqrt(n)

    def freedom(self, n: int) -> float:
        """Degrees of freedom with n seeds per side (Welch, Satterthwaite)."""
        if self.second is None:
            return n - 1
        scale = math.hypot(self.first, self.second)
        if scale == 0:
            return 2 * (n - 1)
        shares = [(sd / scale) ** 2 for sd in (self.first, self.second)]
        return (n - 1) / sum(share**2 for share in shares)

    @property
    def least(self) -> int:
        """Seeds per side below which no test can answer."""
        return MIN_PAIRS if self.second is None else MIN_UNPAIRED


def seeds_to_tell(difference: float, noise: Noise) -> int | None:
    """Seeds per side for 80 % power to tell a true difference of means from zero at 0.05, two-sided.

    By the noncentral t distribution; the permutation test has the power of the t test for all but the fewest seeds.

    Args:
        difference: The true difference, any sign.
        noise: Standard deviations over seeds.

    Returns:
        The number; None for a difference of zero, or if it is above `MAX_SEEDS`.

    >>> [seeds_to_tell(d, Noise(1.0, 1.0)) for d in (0.5, 0.8, 1.0)]  # Cohen 1988, table 2.4.1
    [64, 26, 17]
    """

    def power(n: int) -> float:
        quantile, centre = _quantile(noise, n), _ratio(abs(difference), noise.standard_error(n))
        return _beyond(quantile, noise.freedom(n), centre) + _beyond(quantile, noise.freedom(n), -centre)

    return None if difference == 0 else _smallest(power, noise.least)


def seeds_to_exclude(worsening: float, margin: float, noise: Noise) -> int | None:
    """Seeds per side for 80 % power to show that something is not worse by the margin or more.

    Shown is: the 95 % interval of the difference ends below the margin.

    Args:
        worsening: The true difference, positive if worse.
        margin: Positive.
        noise: Standard deviations over seeds.

    Returns:
        The number; None if the true difference is not below the margin, or the number above `MAX_SEEDS`.

    >>> seeds_to_exclude(0.0, 1.0, Noise(1.0, 1.0)), seeds_to_exclude(1.5, 1.0, Noise(1.0, 1.0))
    (17, None)
    """
    room = margin - worsening
    if room <= 0:
        return None
    return _smallest(lambda n: _beyond(_quantile(noise, n), noise.freedom(n), _ratio(room, noise.standard_error(n))), 2)


def seeds_to_equate(difference: float, margin: float, noise: Noise) -> int | None:
    """Seeds per side for 80 % power to show that two means differ by less than the margin, whichever way.

    Shown is: the 95 % interval of the difference lies between minus and plus the margin.

    >>> seeds_to_equate(0.0, 1.0, Noise(1.0, 1.0))
    23
    """
    if abs(difference) >= margin:
        return None

    def power(n: int) -> float:
        se = noise.standard_error(n)
        sides = (
            _beyond(_quantile(noise, n), noise.freedom(n), _ratio(margin + sign * difference, se)) for sign in (-1, 1)
        )
        return sum(sides) - 1

    return _smallest(power, 2)


def _quantile(noise: Noise, n: int) -> float:
    return t_quantile(noise.freedom(n), 1 - ALPHA / 2)


def _beyond(quantile: float, freedom: float, centre: float) -> float:
    """Chance that a noncentral t variable is above a quantile."""
    from scipy.special import nctdtr

    if abs(centre - quantile) > 30:  # far in the tail, where the series of nctdtr is not needed and may not converge
        return 1.0 if centre > quantile else 0.0
    return 1 - float(nctdtr(freedom, centre, quantile))


def _ratio(difference: float, se: float) -> float:
    return difference / se if se > 0 else math.inf


def _smallest(power: Callable[[int], float], least: int) -> int | None:
    """The smallest number of seeds with enough power, by doubling and halving: power grows with n."""
    low, high = least - 1, least
    while power(high) < POWER:
        low, high = high, 2 * high
        if low >= MAX_SEEDS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high if high <= MAX_SEEDS else None
