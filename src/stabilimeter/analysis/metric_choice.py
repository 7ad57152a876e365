"""Which metrics of two groups are compared, and which of them decides."""

from dataclasses import dataclass

from stabilimeter.analysis.comparison import ComparisonError
from stabilimeter.analysis.roles import is_validation
from stabilimeter.analysis.side import Side


@dataclass(frozen=True)
class MetricChoice:
    """Which metrics are compared.

    Attributes:
        primary: The one that decides; None if all do.
        tags: All of them, the primary one first.
        modes: Better direction of each.
    """

    primary: str | None
    tags: tuple[str, ...]
    modes: dict[str, str]


def metric_choice(baseline: Side, candidate: Side, metric: str | None, mode: str | None) -> MetricChoice:
    """The metric asked for alone, else the primary one of both sides with all validation metrics they share.

    Args:
        baseline: One side.
        candidate: The other.
        metric: Name asked for.
        mode: Better direction of the primary metric, where the caller knows.

    Raises:
        ComparisonError: if the sides are judged by different metrics, one lacks it, or its direction is not clear.
    """
    sides = (baseline, candidate)
    known = [{tag for tag, own in side.group.metrics.items() if own.n} for side in sides]
    primaries = [side.group.primary_metric for side in sides]
    primary = metric or primaries[0] or primaries[1]
    if metric is None and None not in primaries and primaries[0] != primaries[1]:
        raise ComparisonError(
            f"different metrics: the baseline is judged by {primaries[0]}, the candidate by {primaries[1]}; "
            "choose one that both have with --metric TAG"
        )
    if primary is not None:
        for side in sides:
            if primary not in side.group.metrics:
                common = ", ".join(sorted(known[0] & known[1])[:20]) or "none"
                raise ComparisonError(
                    f"no run of the {side.name} has {primary}; metrics that both sides have: {common}"
                )
    shared = sorted(set(baseline.group.metrics) & set(candidate.group.metrics))
    others = [] if metric is not None else [tag for tag in shared if is_validation(tag) and tag != primary]
    modes = {}
    for tag in ([] if primary is None else [primary]) + others:
        own = [mode] if mode is not None and tag == primary else [side.mode(tag) for side in sides]
        if len({one for one in own if one is not None}) == 1:
            modes[tag] = next(one for one in own if one is not None)
        elif tag == primary:
            what = "is not known" if set(own) == {None} else "differs between the two sides"
            raise ComparisonError(f"whether a higher {tag} is better {what}; say so with --mode min|max")
    if not modes:
        raise ComparisonError(
            "no primary metric, and no validation metric of known direction in common; give --metric TAG --mode min|max"
        )
    return MetricChoice(primary, tuple(modes), modes)
