"""Which runs of a group count, and how to call them."""

from collections.abc import Sequence

from stabilimeter.analysis.summary import GroupSummary, RunSummary
from stabilimeter.present.wording import listed, printable
from stabilimeter.records.manifest import RunStatus

UNFINISHED = (RunStatus.RUNNING.value, RunStatus.CANCELLED.value)


def finished(group: GroupSummary) -> list[RunSummary]:
    """The runs that statistics are about: neither running nor cancelled, nor a copy of another run."""
    return [run for run in group.runs if run.status not in UNFINISHED and run.copy_of is None]


def seeds_named(runs: Sequence[RunSummary], at_most: int = 4) -> str:
    """How seeds are called: ``seeds 0, 3``, or the folder names of runs that nobody instrumented."""
    names = [printable(str(run.seed)) for run in runs]
    if not all(isinstance(run.seed, int) for run in runs):
        return listed(names, at_most)
    return f"seed{'' if len(runs) == 1 else 's'} {listed(names, at_most)}"


def seeds_in_words(group: GroupSummary) -> str:
    """How many finished seeds did not fail, and what is left out of that: ``3 of 5``, ``3 of 4, 1 running``."""
    n_finished = len(finished(group))
    n_copies = sum(run.copy_of is not None for run in group.runs)
    text = f"{n_finished - group.n_failed} of {n_finished}"
    for n, words in (
        (group.n_running, f"{group.n_running} running"),
        (group.n_cancelled, f"{group.n_cancelled} cancelled"),
        (n_copies, "1 copy" if n_copies == 1 else f"{n_copies} copies"),
    ):
        text += f", {words}" if n else ""
    return text
