"""All runs in a folder, grouped by what they have in common but the seed."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stabilimeter.records.discovery import discover, natural_key, significant_parts
from stabilimeter.records.events.layouts import Layouts
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.run import WHAT_IS_A_RUN, Run, own_label, run_from
from stabilimeter.records.run_source import RunSource
from stabilimeter.records.series_store import SeriesStore
from stabilimeter.records.unread_notes import unread_notes

_MAX_LISTED = 4
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
    on_unreadable: Callable[[Path, Exception], None] | None = None,
    with_series: bool = True,
) -> Sweep:
    """All runs at ``path`` and below.

    Series that do not fit into the memory of a `SeriesStore` wait in a temporary file until they are asked for.

    Args:
        path: A folder (or a single log file).
        group_by: ``"config"`` groups by the manifest's group key, else by Hydra's overrides without the seed, else by
            folder and the parameters without the seed that MLflow or a search noted, else by parent folder;
            ``"parent"`` by parent folder always.
        on_progress: Called with the number of runs read so far and in all.
        on_unreadable: Called with the path of a run that cannot be read and the reason; the run is then left out, as
            one may want while it is being written. Default: such a run is an error.
        with_series: False for a first look at what runs there are: series are left out, and so is what only the log of
            a run tells about it (the settings of an MLflow run).

    Raises:
        RecordError: if there is no run, one that cannot be read, or no room for its series.
    """
    root = Path(path)
    if group_by not in ("config", "parent"):
        raise RecordError(f"group_by must be 'config' or 'parent', got {group_by!r}")
    if not root.exists():
        raise RecordError(f"{root} does not exist; give a folder with runs")
    sources, unread = discover(root)
    not_read = unread_notes(unread, root)
    if not sources:
        raise RecordError("; ".join([f"no run in {root}: {WHAT_IS_A_RUN}", *not_read]))
    labels = _labels(sources, root)
    runs = []
    layouts, store = Layouts(), SeriesStore()  # runs of a sweep log the same, at the same steps
    for done, source in enumerate(sources):
        try:
            run = run_from(source, label=labels[done], root=root, with_series=with_series, layouts=layouts)
        except (RecordError, OSError) as error:
            if on_unreadable is None:
                raise
            on_unreadable(source.path, error)
        else:
            runs.append(run.kept_in(store))
        if on_progress is not None:
            on_progress(done + 1, len(sources))
    members: dict[tuple[str, str], list[tuple[Run, str]]] = {}
    shared = _shared_parameters(runs) if group_by == "config" else {}
    for run in runs:
        kind, key, label = _group_of(run, root, group_by, shared)
        members.setdefault((kind, key), []).append((run, label))
    groups, notes = _groups(members)
    return Sweep(root, groups, (*not_read, *notes, *_single_notes(shared, members)))


def _labels(sources: list[RunSource], root: Path) -> list[str]:
    """A name for each run; runs that only boilerplate tells apart are named by their whole path."""
    short = [significant_parts(source.path, root) for source in sources]
    named = [(source.path.parent, source.name) for source in sources]
    labels = []
    for source, parts in zip(sources, short, strict=True):
        if source.name is not None:
            again = named.count((source.path.parent, source.name)) > 1
            labels.append(f"{source.name} ({source.path.name[:8]})" if again else source.name)
        elif short.count(parts) > 1:
            labels.append(source.path.relative_to(root).as_posix())
        else:
            labels.append(parts[-1] if parts else own_label(source))
    return labels


def _group_of(run: Run, root: Path, group_by: str, shared: Mapping[Path, frozenset[str]]) -> tuple[str, str, str]:
    """What kind of group a run is in, the key of the group, and what the run says its label is."""
    parts = significant_parts(run.path, root)
    folder = "/".join(parts[:-1])
    name = root.resolve().name
    if group_by == "config" and run.manifest is not None and run.manifest.group:
        stripped = [_SEED_PART.sub("", part).strip(",") for part in parts]
        without_seed = [part for part in stripped if part] if tuple(stripped) != parts else stripped[:-1]
        return "manifest", run.manifest.group, "/".join(without_seed) or name
    if group_by == "config" and run.overrides is not None:
        key = ", ".join(run.overrides.others)
        if run.overrides.chosen:
            return "overrides", key, key or folder or name
        telling = ", ".join(item for item in run.overrides.others if item not in shared[run.path.parent])
        return "parameters", f"{folder}: {key}", "/".join(part for part in (folder, telling) if part) or name
    return "folder", folder or ".", folder or name


def _shared_parameters(runs: Sequence[Run]) -> dict[Path, frozenset[str]]:
    """The parameters that all runs of a folder share, by folder, as far as trackers noted all parameters of a run."""
    shared: dict[Path, frozenset[str]] = {}
    for run in runs:
        if run.overrides is not None and not run.overrides.chosen:
            folder = run.path.parent
            shared[folder] = shared.get(folder, frozenset(run.overrides.others)) & frozenset(run.overrides.others)
    return shared


def _single_notes(
    shared: Mapping[Path, frozenset[str]], members: Mapping[tuple[str, str], Sequence[tuple[Run, str]]]
) -> list[str]:
    """A remark on each folder in which no two runs have the same parameters: one of them may not matter."""
    notes = []
    for folder in shared:
        groups = [[run for run, _ in named] for (kind, _), named in members.items() if kind == "parameters"]
        here = [group for group in groups if group[0].path.parent == folder]
        if len(here) > 1 and all(len(group) == 1 for group in here):
            others = [item for (run,) in here if run.overrides for item in run.overrides.others]
            names = sorted({item.partition("=")[0] for item in others if item not in shared[folder]})
            listed = ", ".join(names[:_MAX_LISTED]) + ("..." if len(names) > _MAX_LISTED else "")
            notes.append(
                f"{folder.name}: every run has parameters of its own ({listed}); if they do not matter, group by parent"
            )
    return notes


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
