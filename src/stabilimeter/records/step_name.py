"""Which column or key of a log is the step, and which numbers are steps."""

from collections.abc import Iterable
from typing import Any

STEP_NAMES = (
    "step",
    "global_step",
    "trainer/global_step",
    "_step",
    "iteration",
    "iter",
    "update",
    "batch",
    "epoch",
)
"""Names of the step, the preferred first; compared without regard to case."""
_LARGEST = 2**63


def step_name(names: Iterable[str]) -> str | None:
    """The one of ``names`` that is the step; None if there is none.

    >>> step_name(["loss", "epoch", "Step"])
    'Step'
    """
    by_name: dict[str, str] = {}
    for name in names:
        by_name.setdefault(name.strip().lower(), name)
    return next((by_name[known] for known in STEP_NAMES if known in by_name), None)


def whole_step(value: Any) -> int | None:
    """``value``, a number or its text, as a step; None if it is no whole number.

    >>> whole_step("10.0"), whole_step(2.5), whole_step("inf"), whole_step(True)
    (10, None, None, None)
    """
    if isinstance(value, bool):
        return None
    try:
        step = int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()) else None
        if step is None and float(value).is_integer():
            step = int(float(value))
    except (TypeError, ValueError, OverflowError):
        return None
    return step if step is not None and -_LARGEST <= step < _LARGEST else None
