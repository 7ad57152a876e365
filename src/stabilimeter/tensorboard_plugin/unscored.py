"""A summary of runs that have not been judged: scores take longer than a reader of the tab wants to wait."""

from stabilimeter.analysis.summary import GroupSummary, RunSummary, Stability
from stabilimeter.records.manifest import RunStatus
from stabilimeter.records.run import Run
from stabilimeter.records.sweep import RunGroup, Sweep

REASON = "being computed"


def unscored_group(group: RunGroup, sweep: Sweep) -> GroupSummary:
    """The runs of a group of a sweep, nothing said about them."""
    return GroupSummary(
        key=group.key,
        label=group.label,
        n_runs=len(group.runs),
        n_failed=0,
        n_running=sum(run.status is RunStatus.RUNNING for run in group.runs),
        n_cancelled=sum(run.status is RunStatus.CANCELLED for run in group.runs),
        runs=tuple(_run(run, sweep) for run in group.runs),
        metrics={},
        metrics_ok={},
        stability=Stability(None, None, None, None, None, None, {}, (), REASON),
    )


def _run(run: Run, sweep: Sweep) -> RunSummary:
    path = run.path.relative_to(sweep.path).as_posix()
    return RunSummary(path, run.seed, run.status.value, False, None, None, run.incidents, {}, {})
