"""All runs in a folder, grouped by what they have in common but the seed."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stabilimeter.records.discovery import RunSource, find_runs, natural_key, significant_parts
from stabilimeter.records.hydra_overrides import overrides_of
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.run import Run, own_label, run_from, single_source

_SEED_PART = re.compile(r"(^|,)seed[=_-]?\d+(?=,|$)")


@dataclass(frozen=True, eq=False)
class RunGroup:
    """Runs that differ in the seed only.

    Attributes:
        key: What they share: the group key of their manifests, their overrides, or their folder.
        label: Short name for people.
        runs: The runs, by seed where all seeds are numbers, else by path.
    """

    key: str
    label: str
    runs: tuple[Run, ...]


@dataclass(frozen=True, eq=False)
class Sweep:
    """A folder with one or more groups; ``notes`` are sentences about how it was read."""

    path: Path
    groups: tuple[RunGroup, ...]
    notes: tuple[str, ...] = ()


def read_sweep(
    path: str | os.PathLike[str],
    *,
    group_by: Literal["config", "parent"] = "config",
    on_progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    """All runs at ``path`` and below.

    Args:
        path: A folder (or a single log file).
        group_by: ``"config"`` groups by the manifest's group key, else by Hydra's overrides without the seed, else by
            parent folder; ``"parent"`` by parent folder always.
        on_progress: Called with the number of runs read so far and in all.

    Raises:
        RecordError: if there is no run, or one that cannot be read.
    """
    root = Path(path)
    if group_by not in ("config", "parent"):
        raise RecordError(f"group_by must be 'config' or 'parent', got {group_by!r}")
    if not root.exists():
        raise RecordError(f"{root} does not exist; give a folder with runs")
    sources = find_runs(root) if root.is_dir() else [single_source(root)]
    if not sources:
        raise RecordError(
            f"no run in {root}: it needs folders with a stability record or event files, or CSV logs with a step column"
        )
    labels = _labels(sources, root)
    members: dict[tuple[str, str], list[tuple[Run, str]]] = {}
    for done, source in enumerate(sources):
        run = run_from(source, label=labels[done], root=root)
        kind, key, label = _group_of(run, root, group_by)
        members.setdefault((kind, key), []).append((run, label))
        if on_progress is not None:
            on_progress(done + 1, len(sources))
    groups, notes = _groups(members)
    return Sweep(root, groups, notes)


def _labels(sources: list[RunSource], root: Path) -> list[str]:
    """A name for each run; runs that only boilerplate tells apart are named by their whole path."""
    short = [significant_parts(source.path, root) for source in sources]
    labels = []
    for source, parts in zip(sources, short, strict=True):
        if short.count(parts) > 1:
            labels.append(source.path.relative_to(root).as_posix())
        else:
            labels.append(parts[-1] if parts else own_label(source))
    return labels


def _group_of(run: Run, root: Path, group_by: str) -> tuple[str, str, str]:
    """What kind of group a run is in, the key of the group, and what the run says its label is."""
    parts = significant_parts(run.path, root)
    folder = "/".join(parts[:-1])
    name = root.resolve().name
    if group_by == "config" and run.manifest is not None and run.manifest.group:
        stripped = [_SEED_PART.sub("", part).strip(",") for part in parts]
        without_seed = [part for part in stripped if part] if tuple(stripped) != parts else stripped[:-1]
        return "manifest", run.manifest.group, "/".join(without_seed) or name
    overrides = overrides_of(run.path, root) if group_by == "config" else None
    if overrides is not None:
        key = ", ".join(overrides.others)
        return "overrides", key, key or folder or name
    return "folder", folder or ".", folder or name


def _groups(members: dict[tuple[str, str], list[tuple[Run, str]]]) -> tuple[tuple[RunGroup, ...], tuple[str, ...]]:
    groups = []
    notes = []
    for (_, key), named in members.items():
        runs = [run for run, _ in named]
        seeds = [run.seed for run in runs]
        if all(isinstance(seed, int) for seed in seeds):
            runs.sort(key=lambda run: (int(run.seed), natural_key(str(run.path))))
        else:
            runs.sort(key=lambda run: natural_key(str(run.path)))
        label = _common_label([label for _, label in named])
        repeated = sorted({str(seed) for seed in seeds if seeds.count(seed) > 1}, key=natural_key)
        if repeated:
            notes.append(f"group {label}: more than one run with seed {', '.join(repeated)}")
        groups.append(RunGroup(key, label, tuple(runs)))
    labels = [group.label for group in groups]
    unique = [
        group if labels.count(group.label) == 1 else RunGroup(group.key, f"{group.label} [{group.key[:8]}]", group.runs)
        for group in groups
    ]
    return tuple(sorted(unique, key=lambda group: natural_key(group.label))), tuple(notes)


def _common_label(labels: list[str]) -> str:
    if len(set(labels)) == 1:
        return labels[0]
    return os.path.commonpath(labels) or min(labels, key=natural_key)
