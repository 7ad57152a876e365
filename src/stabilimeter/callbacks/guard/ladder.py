"""What to do about a step that is out of the ordinary: one rung at a time, within a budget."""

from enum import Enum
from typing import Any, NamedTuple


class Rung(str, Enum):
    """What `SpikeGuard` can do, mildest first."""

    WARN = "warn"
    """Let the step happen and say so."""
    SKIP = "skip"
    """Do not take the step."""
    ROLLBACK = "rollback"
    """Do not take the step, and go back to the last healthy state."""
    STOP = "stop"
    """Do not take the step, and end the fit."""


_ORDER = tuple(Rung)
_ROLLBACKS_COUNT = 100
"""For so many times ``cooldown_steps``."""


class Trouble(Enum):
    """What is out of the ordinary at a step."""

    GRADIENT = "gradient"
    """The gradient norm alone is large."""
    LOSS = "loss"
    """The loss is large."""
    NONFINITE = "nonfinite"
    """The loss or a gradient is not finite."""
    TURN = "turn"
    """The loss has been turning for the worse for some time, within its noise."""


class Budget(NamedTuple):
    """How far the guard may go.

    Attributes:
        highest: The highest rung.
        max_skips: Steps that may be skipped within ``cooldown_steps`` before the next rung.
        max_rollbacks: Rollbacks within ``100 * cooldown_steps`` before the next rung.
        cooldown_steps: A skip counts against ``max_skips`` for this many optimizer steps, and a rollback against
            ``max_rollbacks`` for a hundred times as many: a long healthy run must not use them up on false alarms.
    """

    highest: Rung
    max_skips: int
    max_rollbacks: int
    cooldown_steps: int


class Ladder(NamedTuple):
    """What the guard has done so far.

    Attributes:
        skips: Steps skipped within the last ``cooldown_steps``, since the last rollback.
        rollbacks: Steps at which training was taken back within the last ``100 * cooldown_steps``.
    """

    skips: tuple[int, ...] = ()
    rollbacks: tuple[int, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Lists and numbers, for a checkpoint."""
        return {"skips": list(self.skips), "rollbacks": list(self.rollbacks)}

    @classmethod
    def from_plain(cls, saved: dict[str, Any]) -> "Ladder":
        """The ladder saved by `plain`."""
        return cls(tuple(saved["skips"]), tuple(saved["rollbacks"]))


def climbed(
    ladder: Ladder, budget: Budget, step: int, trouble: Trouble, *, can_go_back: bool = True
) -> tuple[Ladder, Rung]:
    """The ladder after a step that is out of the ordinary, and what to do about that step.

    A flagged step is skipped while there is a budget for it. Beyond that the answer depends on what was seen. A
    gradient norm that keeps being large while the loss is ordinary is a new level, not an emergency: those steps are
    let through. Otherwise skipping has not helped, and the next rung is due. Where the highest rung is used up as well,
    finite steps are let through and non-finite ones are skipped, because no good ever came from those.

    A slow turn is in the weights already, so that no skip undoes it: the rung after that is due at once.

    Args:
        ladder: Before the step.
        budget: How far to go.
        step: Number of the optimizer step.
        trouble: What was seen.
        can_go_back: Whether there is a healthy state to go back to.

    >>> budget = Budget(Rung.ROLLBACK, max_skips=2, max_rollbacks=1, cooldown_steps=100)
    >>> ladder, rungs = Ladder(), []
    >>> for step in range(6):
    ...     ladder, rung = climbed(ladder, budget, step, Trouble.LOSS)
    ...     rungs.append(rung.value)
    >>> rungs
    ['skip', 'skip', 'rollback', 'skip', 'skip', 'warn']
    """
    if budget.highest is Rung.WARN:
        return ladder, Rung.WARN
    skips = tuple(at for at in ladder.skips if step - at < budget.cooldown_steps)
    rollbacks = tuple(at for at in ladder.rollbacks if step - at < _ROLLBACKS_COUNT * budget.cooldown_steps)
    ladder = Ladder(skips, rollbacks)
    if trouble is not Trouble.TURN and len(skips) < budget.max_skips:
        return Ladder((*skips, step), rollbacks), Rung.SKIP
    if trouble is Trouble.GRADIENT:
        return ladder, Rung.WARN
    if _may(budget, Rung.ROLLBACK) and can_go_back and len(rollbacks) < budget.max_rollbacks:
        return Ladder(rollbacks=(*rollbacks, step)), Rung.ROLLBACK
    if _may(budget, Rung.STOP):
        return ladder, Rung.STOP
    return ladder, Rung.SKIP if trouble is Trouble.NONFINITE else Rung.WARN


def _may(budget: Budget, rung: Rung) -> bool:
    return _ORDER.index(rung) <= _ORDER.index(budget.highest)
