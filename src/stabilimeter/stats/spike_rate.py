"""How often a series spikes: events per step with an interval, and the scores that others publish."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from stabilimeter.stats.detection import ALARM_RATE

PRIOR_STEPS = 1000.0
"""How many steps the prior is worth. A convention: printed with the score, overridable."""

_BLOCK = 4096


@dataclass(frozen=True)
class SpikeRate:
    """Events per evaluable step.

    Attributes:
        events: Number of events. Not an integer where an event shared by n seeds counts 1/n for each.
        steps: Number of evaluable steps.
        rate: ``events / steps``; NaN without a step.
        low: Lower end of the interval.
        high: Upper end of the interval.
        shrunken: The rate pulled towards the alarm rate, as the stability score uses it.
    """

    events: float
    steps: int
    rate: float
    low: float
    high: float
    shrunken: float


def spike_rate(
    events: float,
    steps: int,
    *,
    level: float = 0.95,
    alarm_rate: float = ALARM_RATE,
    prior_steps: float = PRIOR_STEPS,
) -> SpikeRate:
    """Events per evaluable step, with an interval and an estimate for short logs.

    The interval is Garwood's exact one for a Poisson count: with k events in n steps from ``G(a/2; k) / n`` to
    ``G(1 - a/2; k + 1) / n``, G the quantile of the gamma distribution and a = 1 - ``level``. Without events it starts
    at 0. An event lasts many steps and is counted once, so it is a count in time, not a share of steps.

    The shrunken estimate is the posterior mean under a gamma prior centred on the nominal alarm rate and worth
    ``prior_steps`` steps: ``(k + alarm_rate * prior_steps) / (n + prior_steps)``. A single event in 30 steps then reads
    as 0.1 %, not 3 %; 30 clean steps read as 0.01 %, the rate of false alarms, not 0.

    Args:
        events: Number of events k, at least 0.
        steps: Number of evaluable steps n: those on which the detector could have found something. At least 0.
        level: Confidence of the interval, in (0, 1).
        alarm_rate: Nominal chance of a false alarm per step.
        prior_steps: Weight of the prior, in steps.

    Raises:
        ValueError: If ``events`` or ``steps`` is negative or ``level`` not within (0, 1).

    >>> r = spike_rate(0, 1000)
    >>> r.rate, r.low, round(r.high, 5)
    (0.0, 0.0, 0.00369)
    >>> round(spike_rate(1, 30).shrunken, 5)
    0.00107
    """
    if events < 0 or steps < 0:
        raise ValueError(f"events and steps must not be negative, got {events} and {steps}")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    shrunken = (events + alarm_rate * prior_steps) / (steps + prior_steps)
    if steps == 0:
        return SpikeRate(events, steps, np.nan, 0.0, np.inf, shrunken)
    outside = (1.0 - level) / 2.0
    low = float(gammaincinv(events, outside)) / steps if events > 0 else 0.0
    high = float(gammaincinv(events + 1.0, 1.0 - outside)) / steps
    return SpikeRate(events, steps, events / steps, low, high, shrunken)


def olmo2_spikes(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which values spike by the rule of OLMo 2: at least 7 SD away from the mean of the 1,000 values before.

    Two-sided, population SD, no verdict for the first 1,000 values. OLMo 2 reports the share of such values in percent.
    Trend and earlier spikes inflate the SD, so it misses most spikes of short logs; it is here for comparison only.

    Args:
        values: The series, shape (num_steps,).

    Returns:
        Shape (num_steps,).

    Source: OLMo 2 (arXiv 2501.00656), section 3.2.
    """
    mean, sd = _moments_before(values, 1000)
    with np.errstate(invalid="ignore"):
        return (np.abs(values - mean) >= 7.0 * sd) & (sd > 0.0)


def olmo_core_spikes(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which values spike by the rule of OLMo-core: above the mean of the 128 values before by more than 6 SD.

    One-sided, population SD, no verdict for the first 128 values, and none within 128 values after a NaN.

    Args:
        values: The series, shape (num_steps,).

    Returns:
        Shape (num_steps,).

    Source: OLMo-core, ``train/callbacks/stability_monitor.py``.
    """
    mean, sd = _moments_before(values, 128)
    with np.errstate(invalid="ignore"):
        return (values > mean + 6.0 * sd) & (sd >= 1e-10)


def _moments_before(values: NDArray[np.float64], window: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and population SD of the ``window`` values before each one; NaN for the first ``window``."""
    mean, sd = np.full(len(values), np.nan), np.full(len(values), np.nan)
    if len(values) > window:
        before = np.lib.stride_tricks.sliding_window_view(values[:-1], window)
        with np.errstate(invalid="ignore", over="ignore"):
            for start in range(0, len(before), _BLOCK):  # windows of a long log do not fit into memory at once
                stop = min(start + _BLOCK, len(before))
                mean[window + start : window + stop] = before[start:stop].mean(axis=1)
                sd[window + start : window + stop] = before[start:stop].std(axis=1)
    return mean, sd
