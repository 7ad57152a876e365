"""What must be the same on both sides of a comparison, and what a reader should know to be different."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from stabilimeter.analysis.comparison import ComparisonError
from stabilimeter.analysis.identical import copies
from stabilimeter.analysis.roles import roles_in
from stabilimeter.analysis.side import Side
from stabilimeter.records.manifest import Manifest

DATA_SECTIONS = ("data", "datamodule", "dataset", "datasets")
DATA_IDENTITY = ("_target_", "dataset", "dataset_name", "fold", "name", "split", "task", "test_split", "val_split")
EVALUATION = (("trainer", "limit_val_batches"),)
"""Parts of a configuration that say on what a metric is measured: where they differ, its values do not compare."""

LENGTH_TOLERANCE = 0.01


def refuse_too_few(baseline: Side, candidate: Side) -> None:
    """Refuse a side without at least two finished seeds.

    Raises:
        ComparisonError: naming the side.
    """
    for side in (baseline, candidate):
        n = len(side.finished)
        if n < 2:
            raise ComparisonError(
                f"{side.name} has {n} finished seed{'' if n == 1 else 's'}: without a spread over seeds no difference "
                "can be judged; run 2 or more on each side (4 can tell a difference at p < 0.05)"
            )


def refuse_incomparable(baseline: Side, candidate: Side) -> None:
    """Refuse two groups of which a comparison would mean nothing.

    Raises:
        ComparisonError: if runs are on both sides, or the sides were measured on different data.
    """
    if baseline.runs is None or candidate.runs is None:
        return
    both = {run.path.resolve() for run in baseline.runs} & {run.path.resolve() for run in candidate.runs}
    if both:
        raise ComparisonError(f"{len(both)} of the runs are on both sides, for example {min(both)}")
    for where, (first, second) in _differing(_identity(baseline), _identity(candidate)).items():
        raise ComparisonError(
            f"measured on different data: {where} is {first} in the baseline and {second} in the candidate"
        )


def differences_worth_noting(baseline: Side, candidate: Side) -> list[str]:
    """Sentences on what else differs, or could not be checked."""
    if baseline.runs is None or candidate.runs is None:
        return ["a summary does not hold the configurations: that both sides used the same data was not checked"]
    notes = []
    ends = [_typical_end(side) for side in (baseline, candidate)]
    if None not in ends and min(ends) < (1 - LENGTH_TOLERANCE) * max(ends):  # type: ignore[type-var, operator]
        notes.append(f"lengths differ: runs of the baseline end at step {ends[0]}, of the candidate at {ends[1]}")
    for what, (first, second) in _differing(_surroundings(baseline), _surroundings(candidate)).items():
        notes.append(f"{what} differs: {first} in the baseline, {second} in the candidate")
    n_same = _repeated_across(baseline, candidate)
    if n_same:
        notes.append(
            f"{n_same} of the candidate's runs repeat a run of the baseline bit for bit: there the change did nothing"
        )
    return notes


def _repeated_across(baseline: Side, candidate: Side) -> int:
    first, second = ([run for run, _ in side.surviving_runs] for side in (baseline, candidate))
    repeated = copies([*first, *second], roles_in([*first, *second]))
    return sum(original < len(first) <= copy for copy, original in repeated.items())


def _typical_end(side: Side) -> int | None:
    steps = [run.last_step for run in side.survivors if run.last_step is not None]
    return int(np.median(steps)) if steps else None


def _identity(side: Side) -> dict[str, str]:
    """What the configuration says about the data, by dotted name."""
    manifests = _manifests(side)
    facts: dict[str, str] = {}
    for section in DATA_SECTIONS:
        for key in DATA_IDENTITY:
            facts |= _most_common(f"{section}.{key}", [_at(m.config, (section, key)) for m in manifests])
    for path in EVALUATION:
        facts |= _most_common(".".join(path), [_at(m.config, path) for m in manifests])
    return facts


def _surroundings(side: Side) -> dict[str, str]:
    """What is no part of the recipe and may matter all the same."""
    manifests = _manifests(side)
    facts = _most_common("the device", [m.device or None for m in manifests])
    facts |= _most_common("the number of ranks", [m.world_size for m in manifests])
    facts |= _most_common("the git commit", [m.git_commit for m in manifests])
    for package in ("torch", "lightning"):
        facts |= _most_common(f"the version of {package}", [m.packages.get(package) for m in manifests])
    return facts


def _manifests(side: Side) -> list[Manifest]:
    return [run.manifest for run in side.runs or () if run.manifest is not None]


def _most_common(name: str, values: list[Any]) -> dict[str, str]:
    known = [str(value) for value in values if value is not None and not isinstance(value, Mapping | list)]
    return {name: Counter(known).most_common(1)[0][0]} if known else {}


def _at(config: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    item: Any = config
    for key in path:
        item = item.get(key) if isinstance(item, Mapping) else None
    return item


def _differing(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Facts that both sides state, differently."""
    return {name: (first[name], second[name]) for name in first if name in second and first[name] != second[name]}
