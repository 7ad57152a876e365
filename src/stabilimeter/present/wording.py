"""Numbers and incidents as people write them; every view of a summary words them alike."""

import math
from collections.abc import Sequence

from stabilimeter.analysis.summary import GroupMetric
from stabilimeter.present.guard_action import guard_action, subject
from stabilimeter.stats.incident import Incident, Kind
from stabilimeter.stats.rate_jump import RATE_JUMP

MISSING = "-"
"""Stands where a number is undefined or was not measured."""


def printable(text: str) -> str:
    """Text from a log (tag, label, path) with control characters replaced, so that it cannot drive a terminal.

    >>> printable("loss[0]" + chr(27) + "[2J")
    'loss[0]?[2J'
    """
    return "".join(character if character.isprintable() else "?" for character in text)


def number(value: float | None, digits: int = 4) -> str:
    """A number with ``digits`` significant digits, trailing zeros kept.

    >>> number(0.97), number(12345.6), number(1.5e-7), number(float("nan")), number(None)
    ('0.9700', '12346', '1.500e-07', 'NaN', '-')
    """
    if value is None:
        return MISSING
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if not -4 <= exponent < 7:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{max(0, digits - 1 - exponent)}f}"


def points(value: float | None, decimals: int = 0) -> str:
    """A score or points of a score, on the scale from 0 to 100.

    >>> points(55.06, 1), points(None)
    ('55.1', '-')
    """
    return MISSING if value is None else f"{value:.{decimals}f}"


def interval(low: float | None, high: float | None) -> str:
    """An interval on the scale from 0 to 100.

    >>> interval(30.2, 71.4), interval(None, None)
    ('[30, 71]', '-')
    """
    return MISSING if low is None or high is None else f"[{points(low)}, {points(high)}]"


def mean_and_interval(metric: GroupMetric) -> str:
    """The mean and half the width of its interval, to two significant digits of the latter, as papers print it.

    An interval that is not symmetric is written out; seeds that all have the same value have no margin.
    """
    if metric.mean is None or metric.ci is None:
        return number(metric.mean)
    low, high = metric.ci
    margin = (high - low) / 2
    if not math.isfinite(margin):
        return number(metric.mean)
    if metric.method == "equal":
        return f"{number(metric.mean)} in all {metric.n}"
    if abs(low + high - 2 * metric.mean) > 1e-6 * (high - low):
        return f"{number(metric.mean)} [{number(low)}, {number(high)}]"
    exponent = math.floor(math.log10(margin))
    if not -6 <= exponent < 6 or abs(metric.mean) >= 1e7:
        return f"{number(metric.mean)} ± {number(margin, 2)}"
    decimals = max(0, 1 - exponent)
    return f"{metric.mean:.{decimals}f} ± {margin:.{decimals}f}"


def count(n: int, noun: str) -> str:
    """A count with its noun.

    >>> count(1, "seed"), count(3, "seed")
    ('1 seed', '3 seeds')
    """
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def listed(names: Sequence[str], at_most: int = 6) -> str:
    """Names in a row, the rest counted.

    >>> listed(["a", "b", "c", "d"], at_most=2)
    'a, b and 2 more'
    """
    if len(names) <= at_most:
        return ", ".join(names)
    return f"{', '.join(names[:at_most])} and {len(names) - at_most} more"


def better_when(mode: str | None) -> str:
    """Which direction is better, for a column head; empty if nobody knows."""
    return {"min": "low is good", "max": "high is good"}.get(mode or "", "")


def incident_in_words(incident: Incident) -> str:
    """What happened, and how far off it was against what was expected."""
    value, expected = number(incident.value, 3), number(incident.baseline, 3)
    action = guard_action(incident)
    if action is not None:
        return f"({printable(action)}): {printable(subject(incident))} was {value}" + (
            f", {expected} expected" if math.isfinite(incident.baseline) else ""
        )
    lasted = f"for {count(incident.end_step - incident.step + 1, 'step')}"
    if incident.kind is Kind.NONFINITE:
        return f"became {value}" + (f" {lasted}" if incident.end_step > incident.step else "")
    happened = {
        Kind.SPIKE: f"spiked to {value}",
        Kind.EXCURSION: f"was off {lasted}, as far as {value}",
        Kind.SHIFT: f"moved to a new level, as far as {value}",
        Kind.DIVERGENCE: f"diverged, as far as {value}",
        Kind.COLLAPSE: f"collapsed to {value}",
        Kind.OUTLIER_SEED: f"was far from its siblings, as far as {value}",
    }[incident.kind]
    jump = incident.evidence.get(RATE_JUMP)
    after = "" if jump is None else f", after the learning rate was raised from {jump['before']:g} to {jump['after']:g}"
    if not math.isfinite(incident.baseline):
        return happened + after
    size = size_in_noise(incident)
    if not math.isfinite(size):
        return f"{happened}, {expected} expected{after}"
    times = f"{number(size, 2)}" if size < 9999 else "over 10,000"
    return f"{happened}, {expected} expected ({times} x noise){after}"


def size_in_noise(incident: Incident) -> float:
    """Distance of an incident from what was expected, in robust standard deviations.

    Infinite for a non-finite value and after a constant history, NaN where nothing was known yet.
    """
    if not math.isfinite(incident.value):
        return math.inf
    distance = abs(incident.value - incident.baseline)
    return distance / incident.scale if incident.scale != 0 else math.inf
