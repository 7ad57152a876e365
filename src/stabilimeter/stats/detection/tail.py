"""How far out is out: a tail that adapts to the shape of the noise.

A fixed multiple of a robust standard deviation is wrong for most training logs: at six of them Gaussian noise never
alarms and Student-t noise with three degrees of freedom alarms 30 times in 10,000 steps. Here three reference shapes
compete: light, heavy, and skewed (log-normal). Each ordinary residual adds its likelihood under each
shape, and the chance of a new value is the average over the shapes, weighted by how well they have explained the past
(Bayesian model averaging with slow forgetting).

Residuals beyond ``BODY`` scales are not counted: whether such a point is an incident is the very question, so the
shape is learnt from the body, each likelihood being conditional on lying there. A few true spikes therefore do not talk
a log into a heavy tail.
"""

from itertools import pairwise
from math import exp, expm1, hypot, log, log1p, sinh

from scipy.special import ndtr, ndtri, stdtr, stdtrit

BODY = 6.0
"""Residuals beyond this many scales say nothing about the shape."""

Weights = tuple[float, float, float]
"""Logarithmic evidence for each shape: light, heavy, skewed."""

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


def no_evidence() -> Weights:
    """The weights before any residual."""
    return (0.0, 0.0, 0.0)


def learnt(weights: Weights, u: float) -> Weights:
    """The weights after one more residual, ``u`` scales above the centre (on the side that is judged)."""
    if not 0.0 < u < BODY:
        return weights
    light, heavy, skewed = _LOG_LIKELIHOOD[int(u / _BIN)]
    keep = 1.0 - 1.0 / _MEMORY
    return (keep * weights[0] + light, keep * weights[1] + heavy, keep * weights[2] + skewed)


def chance_above(weights: Weights, u: float, n: int) -> float:
    """Probability that the next residual lies ``u`` scales or more above the centre.

    The scale itself was estimated from ``n`` residuals, so each tail is widened to that of a Student-t whose degrees of
    freedom are limited by what such an estimate is worth: five residuals need a far larger jump than 128.
    """
    top = max(weights)
    light, heavy, skewed = (prior * exp(w - top) for prior, w in zip(_PRIOR, weights, strict=True))
    worth = max(_SCALE_WORTH * n, 1.0)
    chance = light * _student_above(u, _LIGHT, worth) + heavy * _student_above(u, _HEAVY, worth)
    chance += skewed * max(float(ndtr(-log1p(u * sinh(_SKEW)) / _SKEW)), float(stdtr(worth, -u)))
    return chance / (light + heavy + skewed)


def certain_reach(chance: float) -> float:
    """Distance up to which `chance_above` is more than ``chance``, whatever has been learnt from however much.

    An average of three tails is no less than the least of them, and a scale known exactly makes each the lightest.
    """
    light, heavy = (-float(stdtrit(df, chance)) / _WIDTH[df] for df in (_LIGHT, _HEAVY))
    skewed = expm1(-_SKEW * float(ndtri(chance))) / sinh(_SKEW)
    return 0.999 * min(light, heavy, skewed)


def _student_above(u: float, df: float, worth: float) -> float:
    return float(stdtr(1.0 / hypot(1.0 / df, 1.0 / worth), -u * _WIDTH[df]))


def _log_likelihoods() -> tuple[tuple[float, float, float], ...]:
    """For each bin of the upper body, the logarithm of its probability under each shape, given the upper body."""
    edges = [_BIN * i for i in range(int(BODY / _BIN) + 1)]
    below = (
        [float(stdtr(_LIGHT, u * _WIDTH[_LIGHT])) for u in edges],
        [float(stdtr(_HEAVY_BODY, u * _WIDTH[_HEAVY_BODY])) for u in edges],
        [float(ndtr(log1p(u * sinh(_SKEW)) / _SKEW)) for u in edges],
    )
    light, heavy, skewed = ([log((b - a) / (c[-1] - c[0])) for a, b in pairwise(c)] for c in below)
    return tuple(zip(light, heavy, skewed, strict=True))


_LOG_LIKELIHOOD = _log_likelihoods()
