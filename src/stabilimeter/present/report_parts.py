"""What a report is made from, and what it is made of, before anybody knows in which format."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stabilimeter.analysis.comparison import Comparison
from stabilimeter.analysis.first_movers import FailedSeed, failed_seeds
from stabilimeter.analysis.summary import Band, GroupSummary, Summary
from stabilimeter.present.ranking import Named, named_groups
from stabilimeter.present.table import Table, Tone
from stabilimeter.records.sweep import RunGroup, Sweep


@dataclass(frozen=True)
class Compared:
    """One group against its baseline.

    Attributes:
        group: Label of the group.
        comparison: The comparison; None if it was refused.
        refused: Why it was refused, in one line; empty if it was not.
    """

    group: str
    comparison: Comparison | None
    refused: str = ""


@dataclass(frozen=True, eq=False)
class Material:
    """Everything that a section may look at.

    Attributes:
        name: What the report is about: the name of the folder.
        sweep: The runs.
        summary: Their summary.
        compared: Each group against its baseline; empty where no baseline was given.
    """

    name: str
    sweep: Sweep
    summary: Summary
    compared: tuple[Compared, ...] = ()

    @cached_property
    def named(self) -> list[Named]:
        """Groups from the most to the least stable, under short labels."""
        return named_groups(self.summary)[0]

    @cached_property
    def failed(self) -> tuple[FailedSeed, ...]:
        """Every failed seed, and what moved first in it."""
        return failed_seeds(self.sweep, self.summary)

    def failed_in(self, group: GroupSummary) -> list[FailedSeed]:
        """The failed seeds of one group."""
        return [seed for seed in self.failed if seed.group == group.label]

    def runs_of(self, group: GroupSummary) -> RunGroup:
        """The records of a group."""
        pairs = zip(self.sweep.groups, self.summary.groups, strict=True)
        return next(runs for runs, own in pairs if own is group)

    def grouped(self, table: Table) -> Table:
        """A table whose first column is the group, without that column if there is only one group."""
        return table.without_first_column() if len(self.named) == 1 else table


@dataclass(frozen=True)
class Prose:
    """A sentence or two of its own."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True)
class ScoreBar:
    """Where 100 points of one group went; ``lost`` holds name and points of each component. No score, no bar."""

    label: str
    score: float | None
    text: str
    lost: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class ScoreBars:
    """One bar per group under each other."""

    bars: tuple[ScoreBar, ...]


@dataclass(frozen=True, eq=False)
class Line:
    """One seed in a chart; ``lost_at`` is the step from which a failed seed was lost, if known."""

    name: str
    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    is_failed: bool
    lost_at: int | None = None


@dataclass(frozen=True, eq=False)
class SeedChart:
    """One signal of one group: the range and mean of its seeds, or single seeds where they tell more."""

    title: str
    band: Band | None
    lines: tuple[Line, ...]


@dataclass(frozen=True, eq=False)
class SeedCharts:
    """Charts side by side under a title."""

    title: str
    charts: tuple[SeedChart, ...]


Block = Prose | Table | ScoreBars | SeedCharts


@dataclass(frozen=True, eq=False)
class Section:
    """A part of the report: a question that anybody understands, its answer, then the details."""

    title: str
    question: str
    answer: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, eq=False)
class Report:
    """A whole report.

    Attributes:
        title: Its title.
        answer: What happened, one sentence per group, for a reader who reads nothing else.
        sections: In reading order.
        footer: Where it comes from.
    """

    title: str
    answer: tuple[Prose, ...]
    sections: tuple[Section, ...]
    footer: str
