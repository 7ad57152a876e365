"""What can go wrong at a step, and the evidence for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Kind(str, Enum):
    """The kinds of incident."""

    NONFINITE = "nonfinite"
    """The value is NaN or infinite."""
    SPIKE = "spike"
    """A few points far off, then back."""
    EXCURSION = "excursion"
    """Many points far off, then back."""
    SHIFT = "shift"
    """A jump to a new level that stays."""
    DIVERGENCE = "divergence"
    """Keeps getting worse, without return."""
    COLLAPSE = "collapse"
    """Falls to a constant or useless level after having been better."""
    OUTLIER_SEED = "outlier_seed"
    """Lies far outside of where the other seeds of the group were at the same step."""


@dataclass(frozen=True)
class Incident:
    """Something that happened to one series at a step.

    Attributes:
        kind: What happened.
        step: First step concerned, on the series' own step axis.
        end_step: Last step concerned (equal to ``step`` for a single point).
        value: The most extreme value between ``step`` and ``end_step``, in the series' own unit (may be non-finite).
        baseline: What was expected there, in the series' own unit; NaN where nothing was known yet.
        scale: Robust standard deviation around the baseline, in the series' own unit; NaN where nothing was known yet.
        key: Name of the series, for example ``"train/loss"``; empty where one anonymous series was given.
        shared: The same step stands out in several seeds of the group: one data or schedule event, not many.
        evidence: What else is known: top layers, learning rate, batch index, action taken. Plain JSON values only.
    """

    kind: Kind
    step: int
    end_step: int
    value: float
    baseline: float
    scale: float
    key: str = ""
    shared: bool = False
    evidence: Mapping[str, Any] = field(default_factory=dict)
