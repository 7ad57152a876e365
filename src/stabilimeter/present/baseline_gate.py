"""A gate with a baseline: bounds on the sweep itself, and what must not be worse than the baseline.

| score | not worse than the baseline by the margin if |
|---|---|
| a metric (``val/accuracy``...) | the interval of the difference of means over the surviving seeds excludes it |
| ``stability``, ``stability.given_completion`` | the interval of the difference in points of 100 excludes it |
| ``failure_rate`` | the observed share is at most the baseline's plus the margin: a rule, not a test |

*Interval*: 95 %; pass if all of it is better than the margin, fail if none of it is, else inconclusive with the number
of seeds that would tell. The rule for failures, with margin 0, applies to every group unless the file has its own.
"""

from collections.abc import Sequence

from stabilimeter.analysis.noninferiority import (
    NonInferiority,
    failures_not_worse,
    metric_not_worse,
    stability_not_worse,
)
from stabilimeter.analysis.side import Side
from stabilimeter.analysis.summary import Summary
from stabilimeter.present.checks import Check, CheckError
from stabilimeter.present.gate import (
    FAILURE_RATE,
    GIVEN_COMPLETION,
    STABILITY,
    CheckResult,
    GateResult,
    Verdict,
    gate,
)
from stabilimeter.present.wording import count

NO_NEW_FAILURES = Check(FAILURE_RATE, "margin", 0.0, "--baseline")


def gate_with_baseline(summary: Summary, checks: Sequence[Check], sides: Sequence[tuple[Side, Side]]) -> GateResult:
    """Judge every group of a sweep by every check, some of them against a baseline.

    Args:
        summary: The sweep.
        checks: What to check.
        sides: For each group of the summary its baseline, and the group itself.

    Raises:
        CheckError: if a score is unknown to all groups, or there is nothing to judge.
    """
    bounds = [check for check in checks if check.side != "margin"]
    relative = [check for check in checks if check.side == "margin"]
    for check in relative:
        _refuse_unknown(check, sides)
    if not any(check.score == FAILURE_RATE for check in relative):
        relative.append(NO_NEW_FAILURES)
    results = gate(summary, bounds).results if bounds else ()
    judged = tuple(_judged(check, *pair) for pair in sides for check in relative)
    return GateResult(results + judged, summary.half_points)


def _refuse_unknown(check: Check, sides: Sequence[tuple[Side, Side]]) -> None:
    metrics = sorted({tag for _, side in sides for tag in side.group.metrics if side.mode(tag) is not None})
    names = [STABILITY, STABILITY + GIVEN_COMPLETION, FAILURE_RATE, *metrics]
    if check.score not in names:
        raise CheckError(
            f"{check.where}: '{check.score}' cannot be compared with a baseline; there are: {', '.join(names[:20])}"
        )


def _judged(check: Check, baseline: Side, candidate: Side) -> CheckResult:
    if check.score == FAILURE_RATE:
        found = failures_not_worse(baseline, candidate, check.limit)
    elif check.score in (STABILITY, STABILITY + GIVEN_COMPLETION):
        found = stability_not_worse(baseline, candidate, check.limit, given_completion=check.score != STABILITY)
    else:
        found = metric_not_worse(baseline, candidate, check.score, check.limit)
    verdict = {True: Verdict.PASS, False: Verdict.FAIL, None: Verdict.INCONCLUSIVE}[found.holds]
    reason = _reason(found)
    if verdict is Verdict.PASS and candidate.group.n_running:
        verdict, reason = Verdict.INCONCLUSIVE, f"{count(candidate.group.n_running, 'seed')} still running"
    return CheckResult(
        check, candidate.group.label, found.difference, found.low, found.high, verdict, reason, found.n_needed
    )


def _reason(found: NonInferiority) -> str:
    needed = "" if found.n_needed is None else f"about {found.n_needed} seeds on each side would tell"
    if found.holds is None and found.low is not None and not needed:
        needed = "more seeds would tell"
    return "; ".join(filter(None, [found.reason, needed]))
