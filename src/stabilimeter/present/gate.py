"""Pass, fail or inconclusive: do the groups of a sweep respect the bounds of a checks file?

How each score is judged; ``low`` and ``high`` are its 95 % interval unless said otherwise:

| score | judged by | |
|---|---|---|
| ``stability`` | interval | of the whole score: failures nobody has seen yet count |
| ``stability.given_completion`` | interval | of the score given that a seed completes |
| ``failure_rate`` | observed value | a failed seed is a fact, not an estimate: ``max: 0`` passes with 0 of 5 failed |
| a score of one seed (``noise``...) | observed values | the worst seed; ``low`` and ``high`` are the range over seeds |
| a metric (``val/accuracy``...) | interval | of the mean final value over seeds |

*By interval*: pass if all of it respects the bound, fail if none of it does, else inconclusive; no interval is
inconclusive. *By observed value*: pass if it respects the bound, else fail.

Metrics and scores of one seed look at every finished seed, failed or not, and pass only if each of them has a finite
value. With ``.given_completion`` after the name they look at the seeds that did not fail.

Three rules keep this honest. A stability score of which a component could not be measured is inconclusive, whatever its
interval. A ``stability`` minimum that the failed seeds alone put out of reach fails, even where there is no interval.
While seeds are running, a pass is inconclusive. A name that is both a score and a metric is the score.
"""

import difflib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from typing import Any

from stabilimeter.analysis.summary import GroupMetric, GroupSummary, RunSummary, Summary
from stabilimeter.present.checks import Check, CheckError
from stabilimeter.present.seeds import finished, seeds_named
from stabilimeter.present.wording import count
from stabilimeter.stats.stability import HalfPoints

SCHEMA = 1
GIVEN_COMPLETION = ".given_completion"
STABILITY, FAILURE_RATE = "stability", "failure_rate"


class Verdict(str, Enum):
    """The three answers of a gate."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class CheckResult:
    """One check on one group.

    Attributes:
        check: The check.
        group: Label of the group.
        value: The score, or its difference from the baseline; None if it has no point value.
        low: Lower end of what it was judged by; None if there is none.
        high: Upper end.
        verdict: The answer.
        reason: Why, in a sentence; empty if the numbers say it all.
        n_needed: Seeds per side that would tell, where that is known; see `baseline_gate`.
    """

    check: Check
    group: str
    value: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    reason: str = ""
    n_needed: int | None = None


@dataclass(frozen=True)
class GateResult:
    """All checks on all groups, and the conventions behind the stability scores."""

    results: tuple[CheckResult, ...]
    half_points: HalfPoints

    @property
    def verdict(self) -> Verdict:
        """Fail if anything fails, else inconclusive if anything is, else pass."""
        verdicts = {result.verdict for result in self.results}
        return next(v for v in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS) if v in verdicts)

    def to_dict(self) -> dict[str, Any]:
        """The layout of ``gate --json``."""
        checks = [
            {
                "score": result.check.score,
                "group": result.group,
                "value": result.value,
                "low": result.low,
                "high": result.high,
                "bound": result.check.bound,
                "verdict": result.verdict.value,
                "n_needed": result.n_needed,
                "reason": result.reason or None,
            }
            for result in self.results
        ]
        return {
            "schema": SCHEMA,
            "verdict": self.verdict.value,
            "half_points": asdict(self.half_points),
            "checks": checks,
        }


def gate(summary: Summary, checks: Sequence[Check]) -> GateResult:
    """Judge every group of a sweep by every check; every group must pass.

    Raises:
        CheckError: if a score is unknown to all groups, naming those that exist, or if there is nothing to judge.
    """
    if not checks or not summary.groups:
        raise CheckError("nothing to judge: no checks" if not checks else "nothing to judge: the sweep has no groups")
    names = score_names(summary)
    for check in checks:
        if check.side == "margin":
            raise CheckError(f"{check.where}: 'not_worse_than: baseline' needs --baseline DIR")
        if check.score not in names:
            raise CheckError(f"{check.where}: unknown score '{check.score}'; {_choices(check.score, names)}")
    results = [_judged(group, check) for group in summary.groups for check in checks]
    return GateResult(tuple(results), summary.half_points)


def score_names(summary: Summary) -> list[str]:
    """Every name that a check on this summary may use."""
    per_seed = {name for group in summary.groups for run in group.runs for name in run.scores}
    metrics = {tag for group in summary.groups for tag in group.metrics}
    bare = sorted(per_seed) + sorted(metrics - per_seed)
    return [STABILITY, STABILITY + GIVEN_COMPLETION, FAILURE_RATE, *bare, *(name + GIVEN_COMPLETION for name in bare)]


def _choices(wanted: str, names: Sequence[str]) -> str:
    bare = [name for name in names if not name.endswith(GIVEN_COMPLETION) or name.startswith(STABILITY)]
    near = difflib.get_close_matches(wanted, bare, n=3, cutoff=0.5)
    ordered = near + [name for name in bare if name not in near]
    more = f" and {len(ordered) - 20} more" if len(ordered) > 20 else ""
    return f"there are: {', '.join(ordered[:20])}{more} (all but failure_rate also with {GIVEN_COMPLETION})"


def _judged(group: GroupSummary, check: Check) -> CheckResult:
    result = _on_finished_seeds(group, check)
    if result.verdict is Verdict.PASS and group.n_running:
        return replace(result, verdict=Verdict.INCONCLUSIVE, reason=f"{count(group.n_running, 'seed')} still running")
    return result


def _on_finished_seeds(group: GroupSummary, check: Check) -> CheckResult:
    name = check.score.removesuffix(GIVEN_COMPLETION)
    if name == STABILITY:
        return _stability(group, check)
    if name == FAILURE_RATE:
        return _failure_rate(group, check)
    runs = finished(group)
    metrics = group.metrics
    if name != check.score:
        runs, metrics = [run for run in runs if not run.failed], group.metrics_ok
    if any(name in run.scores for run in group.runs):
        return _per_seed(group, check, name, runs)
    return _metric(group, check, name, metrics.get(name), runs)


def _stability(group: GroupSummary, check: Check) -> CheckResult:
    stability = group.stability
    value, (low, high) = stability.score, (stability.low, stability.high)
    if check.score != STABILITY:
        low, high = stability.given_completion or (None, None)
        completed = 1 - (stability.failure_rate or 0.0)
        value = None if value is None or completed == 0 else value / completed
    elif stability.failure_ci is not None and check.side == "min":
        # A score is at most 100 times the share of seeds that complete, whatever else was or was not measured.
        ceiling = 100 * (1 - stability.failure_ci[0])
        if ceiling < check.limit:
            reason = f"{group.n_failed} failed, which leaves a score of {ceiling:.0f} at most (95 %)"
            return CheckResult(check, group.label, value, low, high, Verdict.FAIL, reason)
    result = _by_interval(group, check, value, low, high, stability.reason or "no interval")
    if stability.not_measured and result.verdict is not Verdict.INCONCLUSIVE:
        reason = f"not measured: {', '.join(stability.not_measured)}"
        return replace(result, verdict=Verdict.INCONCLUSIVE, reason=reason)
    return result


def _failure_rate(group: GroupSummary, check: Check) -> CheckResult:
    rate = group.stability.failure_rate
    low, high = group.stability.failure_ci or (None, None)
    if rate is None:
        return CheckResult(check, group.label, None, low, high, Verdict.INCONCLUSIVE, "no seed has finished")
    failed = [run for run in group.runs if run.failed]
    reason = f"{group.n_failed} of {count(len(finished(group)), 'seed')} failed"
    if failed and not check.respects(rate):
        reason += f": {seeds_named(failed)} ({failed[0].failure_reason})"
    verdict = Verdict.PASS if check.respects(rate) else Verdict.FAIL
    return CheckResult(check, group.label, rate, low, high, verdict, reason)


def _per_seed(group: GroupSummary, check: Check, name: str, runs: Sequence[RunSummary]) -> CheckResult:
    measured = [(run, value) for run in runs if (value := run.scores.get(name)) is not None and math.isfinite(value)]
    missing = [run for run in runs if run not in [run for run, _ in measured]]
    if not measured:
        reason = f"{name} was not measured in any seed"
        return CheckResult(check, group.label, None, None, None, Verdict.INCONCLUSIVE, reason)
    values = [value for _, value in measured]
    worst = min(values) if check.side == "min" else max(values)
    verdict, reason = Verdict.PASS, ""
    violating = [run for run, value in measured if not check.respects(value)]
    if violating:
        verdict, reason = Verdict.FAIL, f"{len(violating)} of {count(len(runs), 'seed')}: {seeds_named(violating)}"
    elif missing:
        verdict, reason = Verdict.INCONCLUSIVE, f"not measured in {seeds_named(missing)}"
    return CheckResult(check, group.label, worst, min(values), max(values), verdict, reason)


def _metric(
    group: GroupSummary, check: Check, name: str, metric: GroupMetric | None, runs: Sequence[RunSummary]
) -> CheckResult:
    if metric is None or metric.mean is None:
        reason = f"no seed has a finite {name}"
        return CheckResult(check, group.label, None, None, None, Verdict.INCONCLUSIVE, reason)
    low, high = metric.ci or (None, None)
    why_not = f"{count(metric.n, 'seed')} with a value, an interval needs 3"
    result = _by_interval(group, check, metric.mean, low, high, why_not)
    if result.verdict is Verdict.PASS and metric.n < len(runs):
        reason = f"{len(runs) - metric.n} of {count(len(runs), 'seed')} without a finite final {name}"
        return replace(result, verdict=Verdict.INCONCLUSIVE, reason=reason)
    return result


def _by_interval(
    group: GroupSummary, check: Check, value: float | None, low: float | None, high: float | None, why_not: str
) -> CheckResult:
    """Pass if the whole interval respects the bound, fail if none of it does, else inconclusive."""
    if low is None or high is None:
        return CheckResult(check, group.label, value, low, high, Verdict.INCONCLUSIVE, why_not)
    respected = {check.respects(low), check.respects(high)}
    if respected == {True}:
        return CheckResult(check, group.label, value, low, high, Verdict.PASS)
    if respected == {False}:
        return CheckResult(check, group.label, value, low, high, Verdict.FAIL)
    return CheckResult(
        check,
        group.label,
        value,
        low,
        high,
        Verdict.INCONCLUSIVE,
        "the interval contains the bound: more seeds would tell",
    )
