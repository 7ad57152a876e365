"""What the tab knows of the log folder at one moment."""

from dataclasses import dataclass, replace
from functools import cached_property

from stabilimeter.analysis.first_movers import FailedSeed, failed_seeds
from stabilimeter.analysis.summary import GroupSummary, RunSummary, Summary
from stabilimeter.records.run import Run
from stabilimeter.records.sweep import RunGroup, Sweep
from stabilimeter.tensorboard_plugin.question import QuestionError


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One reading of the folder: the runs, and everything computed from them.

    Attributes:
        version: Grows with each snapshot, from 1.
        sweep: The runs; at first sight of a folder without their series.
        summary: What is known about them.
        judged: Labels of the groups whose summary is complete; at first sight runs are shown before they are judged.
        unreadable: One line for each run that could not be read.
    """

    version: int
    sweep: Sweep
    summary: Summary
    judged: frozenset[str]
    unreadable: tuple[str, ...] = ()

    @property
    def is_scored(self) -> bool:
        """Whether every group has been judged."""
        return len(self.judged) == len(self.summary.groups)

    def group(self, label: str) -> tuple[RunGroup, GroupSummary]:
        """A group by its label.

        Raises:
            QuestionError: if there is none.
        """
        for runs, own in zip(self.sweep.groups, self.summary.groups, strict=True):
            if own.label == label:
                return runs, own
        raise QuestionError(f"no group {label!r}")

    def run(self, path: str) -> tuple[GroupSummary, Run, RunSummary]:
        """A run by its path in the summary, with its group.

        Raises:
            QuestionError: if there is none.
        """
        for runs, own in zip(self.sweep.groups, self.summary.groups, strict=True):
            for run, about in zip(runs.runs, own.runs, strict=True):
                if about.path == path:
                    return own, run, about
        raise QuestionError(f"no run {path!r}")

    @cached_property
    def failed(self) -> tuple[FailedSeed, ...]:
        """Every failed seed of the groups that have been judged, and what moved first in it."""
        pairs = zip(self.sweep.groups, self.summary.groups, strict=True)
        known = [(group, own) for group, own in pairs if own.label in self.judged]
        sweep = replace(self.sweep, groups=tuple(group for group, _ in known))
        return failed_seeds(sweep, replace(self.summary, groups=tuple(own for _, own in known)))


@dataclass(frozen=True, eq=False)
class State:
    """How the reading stands.

    Attributes:
        snapshot: The last complete reading; None before the first.
        doing: What is going on, in words; None if nothing.
        done: Runs done with that.
        total: All runs.
        error: Why the last reading failed, in one line; None if it did not.
    """

    snapshot: Snapshot | None = None
    doing: str | None = None
    done: int = 0
    total: int = 0
    error: str | None = None
