"""What is known about one seed, gathered once for every rule and score."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stabilimeter.analysis.primary import Primary
from stabilimeter.analysis.roles import Roles
from stabilimeter.records.run import Run, Series
from stabilimeter.stats.incident import Incident
from stabilimeter.stats.levels import Level, oriented, yardstick

EMPTY = Series(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64))


@dataclass(frozen=True)
class Evidence:
    """One seed: its run, and which of its series play which role.

    Attributes:
        run: The run.
        roles: Tags by role, the same for all seeds of the group.
        primary: The primary metric of the group.
        incidents: Its incidents, shared ones marked.
        charged_events: Loss-spike events charged to this seed; a shared one counts in part, once for the group.
    """

    run: Run
    roles: Roles
    primary: Primary
    incidents: tuple[Incident, ...] = ()
    charged_events: float = 0.0

    @property
    def train_loss(self) -> Series:
        """The training loss, empty if the run has none."""
        return series_of(self.run, self.roles.train_loss)

    @property
    def evaluations(self) -> Series:
        """The primary metric, oriented so that lower is better; empty if there is none or its mode is unknown."""
        series = series_of(self.run, self.primary.tag)
        if self.primary.mode is None:
            return EMPTY
        return Series(series.steps, oriented(series.values, self.primary.mode))

    @property
    def last_step(self) -> int | None:
        """The last optimizer step done, by the manifest or by the last logged step."""
        if self.run.manifest is not None and self.run.manifest.last_step is not None:
            return self.run.manifest.last_step
        return max((int(steps[-1]) for tag in self.run if (steps := self.run.steps(tag)).size), default=None)


@dataclass(frozen=True)
class SeedCurve:
    """A series of a run, looked up when it is needed: many of them together take no memory."""

    run: Run
    tag: str

    @property
    def steps(self) -> NDArray[np.int64]:
        """Steps, shape ``(n,)``."""
        return self.run.steps(self.tag)

    @property
    def values(self) -> NDArray[np.float64]:
        """Values at these steps, shape ``(n,)``."""
        return self.run[self.tag].values


@dataclass(frozen=True)
class Scales:
    """The yardsticks of a group, from its non-failed seeds.

    Attributes:
        train: D of the training loss.
        evaluation: D of the primary metric.
    """

    train: Level
    evaluation: Level


def scales_of(survivors: Sequence[Evidence]) -> Scales:
    """The yardsticks of the training loss and of the primary metric."""
    return Scales(
        train=yardstick(values for seed in survivors if (values := seed.train_loss.values).size),
        evaluation=yardstick(
            (values for seed in survivors if (values := seed.evaluations.values).size), evaluations=True
        ),
    )


def series_of(run: Run, tag: str | None) -> Series:
    """A series of a run, empty if it has none of that name."""
    return run[tag] if tag is not None and tag in run else EMPTY


def final_value(seed: Evidence) -> float:
    """The primary metric at its largest step, oriented so that lower is better; NaN if there is none."""
    values: NDArray[np.float64] = seed.evaluations.values
    return float(values[-1]) if values.size else float("nan")
