"""How far out is out: a tail that adapts to the shape of the noise.

A fixed multiple of a robust standard deviation is wrong for most training logs: at six of them Gaussian noise never
alarms and Student-t noise with three degrees of freedom alarms 30 times in 10,000 steps. Here three reference shapes
compete: light, heavy, and skewed (log-normal). Each ordinary residual adds its likelihood under each
shape, and the chance of a new value is the average over the shapes, weighted by how well they have explained the past
(Bayesian model averaging with slow forgetting).

Of logarithms the shapes are others, for the same tail is far longer there: a value whose tail is a power, the
longest that magnitudes have in practice, has a logarithm with an exponential tail. It takes the place of the heavy
shape, and the heavy one that of the skewed.

Residuals beyond ``BODY`` scales are not counted: whether such a point is an incident is the very question, so the
shape is learnt from the body, each likelihood being conditional on lying there. A few true spikes therefore do not talk
a log into a heavy tail.
"""

from collections.abc import Callable
from itertools import pairwise
from math import exp, expm1, hypot, inf, log, log1p, sinh
from typing import NamedTuple

from scipy.special import ndtr, ndtri, stdtr, stdtrit

BODY = 6.0
"""Residuals beyond this many scales say nothing about the shape."""

Weights = tuple[float, float, float]
"""Logarithmic evidence for each shape."""

_PRIOR = (0.95, 0.05, 0.0005)
_LIGHT = 10.0  # degrees of freedom: real noise is rarely lighter, for its variance changes from step to step
_HEAVY = 3.0
_HEAVY_BODY = 4.0  # a value minus a median of others has a lighter body than the value, but the same tail
_SKEW = 1.2
_MEMORY = 2048
_BIN = 0.25
_SCALE_WORTH = 0.47  # degrees of freedom per residual of a scale estimated from quantiles
_ONE_SIGMA = 0.8413447460685429
_WIDTH = {df: float(stdtrit(df, _ONE_SIGMA)) for df in (_LIGHT, _HEAVY, _HEAVY_BODY)}
_DECAY = -log(2.0 * (1.0 - _ONE_SIGMA))


class Shape(NamedTuple):
    """One shape of noise, whose centre is 0 and whose quantile at +1 standard deviation of a Gaussian is 1.

    Attributes:
        above: Chance of lying at least ``u`` above the centre, if the scale is known as well as so many degrees of
            freedom say.
        body: The same for residuals of a window, where the scale is known.
    """

    above: Callable[[float, float], float]
    body: Callable[[float], float]


class Shapes(NamedTuple):
    """The shapes that compete, and how much each residual says for them.

    Attributes:
        shapes: The shapes, the lightest tail first.
        evidence: For each bin of the upper body the logarithm of its probability under each shape, given that body.
    """

    shapes: tuple[Shape, Shape, Shape]
    evidence: tuple[Weights, ...]


def no_evidence() -> Weights:
    """The weights before any residual."""
    return (0.0, 0.0, 0.0)


def learnt(shapes: Shapes, weights: Weights, u: float) -> Weights:
    """The weights after one more residual, ``u`` scales above the centre (on the side that is judged)."""
    if not 0.0 < u < BODY:
        return weights
    first, second, third = shapes.evidence[int(u / _BIN)]
    keep = 1.0 - 1.0 / _MEMORY
    return (keep * weights[0] + first, keep * weights[1] + second, keep * weights[2] + third)


def chance_above(shapes: Shapes, weights: Weights, u: float, n: int) -> float:
    """Probability that the next residual lies ``u`` scales or more above the centre.

    The scale itself was estimated from ``n`` residuals, so each tail is widened by what such an estimate is worth: five
    residuals need a far larger jump than 128.
    """
    top, worth = max(weights), max(_SCALE_WORTH * n, 1.0)
    credence = [prior * exp(w - top) for prior, w in zip(_PRIOR, weights, strict=True)]
    chances = [credit * shape.above(u, worth) for credit, shape in zip(credence, shapes.shapes, strict=True)]
    return sum(chances) / sum(credence)


def certain_reach(chance: float) -> float:
    """Distance up to which `chance_above` is more than ``chance``, whatever has been learnt from however much.

    An average of three tails is no less than the least of them, and a scale known exactly makes each the lightest.
    """
    light, heavy = (-float(stdtrit(df, chance)) / _WIDTH[df] for df in (_LIGHT, _HEAVY))
    skewed = expm1(-_SKEW * float(ndtri(chance))) / sinh(_SKEW)
    return 0.999 * min(light, heavy, skewed, -log(2.0 * chance) / _DECAY)


def _student(df: float, body_df: float) -> Shape:
    """Student's t; an uncertain scale has it fewer degrees of freedom."""

    def above(u: float, worth: float) -> float:
        return float(stdtr(1.0 / hypot(1.0 / df, 1.0 / worth), -u * _WIDTH[df]))

    return Shape(above, lambda u: float(stdtr(body_df, -u * _WIDTH[body_df])))


def _skewed_above(u: float, worth: float = inf) -> float:
    """Log-normal; never less than the t distribution that an uncertain scale makes of a Gaussian."""
    return max(float(ndtr(-log1p(u * sinh(_SKEW)) / _SKEW)), float(stdtr(worth, -u)))


def _exponential_above(u: float, worth: float = inf) -> float:
    """Exponential on either side; where the scale is uncertain, averaged over a gamma distribution of the decay."""
    return 0.5 * (exp(-_DECAY * u) if worth == inf else exp(-2.0 * worth * log1p(_DECAY * u / (2.0 * worth))))


def _shapes(*shapes: Shape) -> Shapes:
    """The shapes with the table of evidence."""
    edges = [_BIN * i for i in range(int(BODY / _BIN) + 1)]
    above = [[shape.body(u) for u in edges] for shape in shapes]
    first, second, third = ([log((a - b) / (c[0] - c[-1])) for a, b in pairwise(c)] for c in above)
    return Shapes((shapes[0], shapes[1], shapes[2]), tuple(zip(first, second, third, strict=True)))


_light, _heavy = _student(_LIGHT, _LIGHT), _student(_HEAVY, _HEAVY_BODY)
VALUES = _shapes(_light, _heavy, Shape(_skewed_above, lambda u: float(ndtr(-log1p(u * sinh(_SKEW)) / _SKEW))))
"""Of values as they are: light, heavy, skewed."""

LOGARITHMS = _shapes(_light, Shape(_exponential_above, _exponential_above), _heavy)
"""Of logarithms: light, exponential, heavy."""
