"""From runs in which one source of chance at a time differs to how much each contributes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from stabilimeter.analysis.group import UNFINISHED
from stabilimeter.analysis.primary import primary_of
from stabilimeter.analysis.recipe_error import RecipeError
from stabilimeter.analysis.summary import RunSummary, Summary
from stabilimeter.records.settings import setting
from stabilimeter.records.sweep import Sweep
from stabilimeter.stats.effect import Difference, mover_difference
from stabilimeter.stats.intervals import Interval
from stabilimeter.stats.variance_sources import (
    Estimate,
    Variance,
    joint_variance,
    share_of,
    source_variance,
    sum_interval,
    sum_of,
)

SCHEMA = 1
_UNFINISHED = tuple(status.value for status in UNFINISHED)


@dataclass(frozen=True)
class SourceShare:
    """One source of chance.

    Attributes:
        name: The source.
        sd: Standard deviation that it causes in the final metric, the other sources held.
        sd_ci: Its 95 % interval; None where the source changes nothing.
        share: Its share of the sum of the variances of all sources, with 95 % interval.
        n_pairs: Pairs of runs that this is from.
        n_failed: Runs with this source varied that failed; their pairs are left out.
        changes_nothing: Whether every pair ended at the very same value, bit for bit.
    """

    name: str
    sd: float
    sd_ci: Interval | None
    share: Estimate
    n_pairs: int
    n_failed: int
    changes_nothing: bool


@dataclass(frozen=True)
class VarianceReport:
    """All sources of one recipe.

    Attributes:
        metric: The metric concerned: its value at the last step.
        mean: Its mean over the runs in which all sources differ.
        joint_sd: Its standard deviation over these runs, c4-free: the square root of the sample variance.
        joint_ci: 95 % interval of that.
        n: How many runs these are.
        n_failed: How many more failed.
        sources: In the order in which they take effect.
        sum_sd: Square root of the sum of the variances of all sources.
        sum_ci: 95 % interval of that.
        excess: Sum of the variances less the joint variance, with 95 % interval, in squared units.
        notes: Sentences for the reader.
    """

    metric: str
    mean: float
    joint_sd: float
    joint_ci: Interval | None
    n: int
    n_failed: int
    sources: tuple[SourceShare, ...]
    sum_sd: float
    sum_ci: Interval | None
    excess: Difference | None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """In the layout of ``variance_sources.json``; non-finite numbers are floats, see ``records.strict_json``."""
        return {"schema": SCHEMA, **asdict(self)}


def variance_report(
    sweep: Sweep, summary: Summary, *, sources: Sequence[str], unvaried: str, metric: str | None = None
) -> VarianceReport:
    """Contribution of each source to the variance of the final value of a metric.

    Args:
        sweep: Runs of one recipe whose configuration says at ``vary`` which source had another seed.
        summary: Its summary, which knows the failed seeds.
        sources: Values of ``vary``, in the order to report them; those without runs are left out.
        unvaried: Value of ``vary`` for the runs that the others are compared with.
        metric: What to judge by; default: the primary metric.

    Raises:
        RecipeError: if the runs do not answer the question.
    """
    runs = [run for group in sweep.groups for run in group.runs]
    primary = primary_of(runs, metric)
    if primary.tag is None:
        raise RecipeError(primary.note or "no metric to judge by")
    tag = primary.tag
    finals, failed = _finals(sweep, summary, tag, unvaried)
    base = finals.get(unvaried, {})
    if len(base) < 2:
        raise RecipeError(f"{len(base)} of the runs with vary={unvaried} have a final {tag}, and 2 or more are needed")
    changes = {
        source: np.array([value - base[seed] for seed, value in finals[source].items() if seed in base])
        for source in sources
        if source in finals
    }
    changes = {source: values for source, values in changes.items() if values.size}
    if not changes:
        raise RecipeError(f"no seed finished with vary={unvaried} and with a source varied: resume the sweep")
    parts = {source: source_variance(values) for source, values in changes.items()}
    joint = joint_variance(np.array(list(base.values())))
    total = sum_of(parts)
    complete = set(parts) == set(sources) and joint.value > 0 and total.value > 0
    return VarianceReport(
        metric=tag,
        mean=float(np.mean(list(base.values()))),
        joint_sd=joint.sd,
        joint_ci=joint.sd_interval() if joint.value > 0 else None,
        n=len(base),
        n_failed=failed.get(unvaried, 0),
        sources=tuple(_share(source, parts, changes[source].size, failed.get(source, 0)) for source in parts),
        sum_sd=total.sd,
        sum_ci=_rooted(sum_interval(parts)) if total.value > 0 else None,
        excess=mover_difference(joint.value, joint.interval(), total.value, sum_interval(parts)) if complete else None,
        notes=_notes(failed, sources, parts),
    )


def _finals(
    sweep: Sweep, summary: Summary, tag: str, unvaried: str
) -> tuple[dict[str, dict[int | str, float]], dict[str, int]]:
    """Final value of each seed that did not fail, and the number of failed ones, by the source that was varied."""
    recipes: set[str] = set()
    finals: dict[str, dict[int | str, float]] = {}
    failed: dict[str, int] = {}
    for group, own in zip(sweep.groups, summary.groups, strict=True):
        for run, result in zip(group.runs, own.runs, strict=True):
            varied = setting(run, "vary")
            if not isinstance(varied, str) or result.status in _UNFINISHED or result.copy_of is not None:
                continue
            recipes.add(group.label.rpartition("vary=")[0])
            value = _final(result, tag)
            if value is None:
                failed[varied] = failed.get(varied, 0) + 1
            else:
                finals.setdefault(varied, {})[result.seed] = value
    if len(recipes) > 1:
        raise RecipeError(f"{len(recipes)} recipes in one sweep ({', '.join(sorted(recipes))}): ask for one at a time")
    return finals, failed


def _final(run: RunSummary, tag: str) -> float | None:
    value = run.metrics[tag].final if tag in run.metrics else math.nan
    return value if not run.failed and math.isfinite(value) else None


def _share(source: str, parts: Mapping[str, Variance], n_pairs: int, n_failed: int) -> SourceShare:
    own = parts[source]
    rest = {name: part for name, part in parts.items() if name != source}
    changes_nothing = own.value == 0
    return SourceShare(
        name=source,
        sd=own.sd,
        sd_ci=None if changes_nothing else own.sd_interval(),
        share=share_of(own, rest),
        n_pairs=n_pairs,
        n_failed=n_failed,
        changes_nothing=changes_nothing,
    )


def _rooted(limits: Interval) -> Interval:
    return math.sqrt(limits[0]), math.sqrt(limits[1])


def _notes(failed: Mapping[str, int], sources: Sequence[str], parts: Mapping[str, Variance]) -> tuple[str, ...]:
    notes = [f"vary={name}: {k} failed and left out" for name, k in failed.items() if k]
    missing = [source for source in sources if source not in parts]
    if missing:
        notes.append(f"not varied, and so in no sum: {', '.join(missing)}")
    return tuple(notes)
