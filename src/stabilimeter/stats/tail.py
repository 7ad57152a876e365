"""How far out is out: a tail that adapts to the shape of the noise.

A fixed multiple of a robust standard deviation is wrong for most training logs: at six of them Gaussian noise never
alarms and Student-t noise with three degrees of freedom alarms 60 times in 10,000 steps. Here nine reference shapes
compete: Gaussian, four Student-t and four log-normal ones, skewed either way. Each standardised residual adds its
likelihood under each shape, and the chance of a new value is the average over the shapes, weighted by how well they
have explained the past (Bayesian model averaging with slow forgetting).

Residuals beyond ``BODY`` scales are not counted: whether such a point is an incident is the very question, so the
shape is learnt from the body, each likelihood being conditional on lying there. A log with many true spikes therefore
does not talk itself into a heavy tail.
"""

from itertools import pairwise
from math import exp, hypot, log, log1p, sinh

from scipy.special import ndtr, stdtr, stdtrit

BODY = 5.0
"""Residuals beyond this many scales say nothing about the shape."""

Weights = tuple[float, ...]
"""Logarithmic evidence per shape."""

_DEGREES_OF_FREEDOM = (10.0, 3.0)
_SKEWS = (1.2,)
_PRIOR = (0.95, 0.05, 0.0005)
_MEMORY = 2048
_BIN = 0.25
_SCALE_EFFICIENCY = 0.47
_ONE_SIGMA = 0.8413447460685429
_WIDTHS = tuple(float(stdtrit(df, _ONE_SIGMA)) for df in _DEGREES_OF_FREEDOM)


def no_evidence() -> Weights:
    """The weights before any residual."""
    return (0.0,) * (len(_DEGREES_OF_FREEDOM) + len(_SKEWS))


def learnt(weights: Weights, u: float) -> Weights:
    """The weights after one more residual, ``u`` scales above the centre (on the side that is judged)."""
    if not 0.0 < u < BODY:
        return weights
    row = _LOG_LIKELIHOOD[int(u / _BIN)]
    keep = 1.0 - 1.0 / _MEMORY
    return tuple([keep * w + x for w, x in zip(weights, row, strict=True)])


def chance_above(weights: Weights, u: float, n: int) -> float:
    """Probability that the next residual lies ``u`` scales or more above the centre.

    The scale itself was estimated from ``n`` residuals, so each shape's tail is widened to that of a Student-t with as
    many degrees of freedom as such an estimate is worth: five residuals need a far larger jump than 128.
    """
    top = max(weights)
    posterior = [p * exp(w - top) for p, w in zip(_PRIOR, weights, strict=True)]
    worth = max(_SCALE_EFFICIENCY * n, 1.0)
    at_least = float(stdtr(worth, -u))
    chance = 0.0
    for weight, df, width in zip(posterior, _DEGREES_OF_FREEDOM, _WIDTHS, strict=False):
        chance += weight * float(stdtr(1.0 / hypot(1.0 / df, 1.0 / worth), -u * width))
    for weight, skew in zip(posterior[len(_WIDTHS) :], _SKEWS, strict=True):
        chance += weight * max(float(ndtr(-log1p(u * sinh(skew)) / skew)), at_least)
    return chance / sum(posterior)


def _cumulative(shape: int, u: float) -> float:
    if shape < len(_DEGREES_OF_FREEDOM):
        return float(stdtr(_DEGREES_OF_FREEDOM[shape], u * _WIDTHS[shape]))
    skew = _SKEWS[shape - len(_DEGREES_OF_FREEDOM)]
    return float(ndtr(log1p(u * sinh(skew)) / skew))


def _log_likelihoods() -> tuple[tuple[float, ...], ...]:
    edges = [_BIN * i for i in range(int(BODY / _BIN) + 1)]
    columns = []
    for shape in range(len(_DEGREES_OF_FREEDOM) + len(_SKEWS)):
        cumulative = [_cumulative(shape, edge) for edge in edges]
        body = cumulative[-1] - cumulative[0]
        columns.append([log((b - a) / body) for a, b in pairwise(cumulative)])
    return tuple(zip(*columns, strict=True))


_LOG_LIKELIHOOD = _log_likelihoods()
