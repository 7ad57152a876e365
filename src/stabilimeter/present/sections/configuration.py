"""Configuration and environment: what was run, on what, and how the logs were read."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stabilimeter.present.report_parts import Block, Material, Prose, Section
from stabilimeter.present.table import Column, Table, Tone, row
from stabilimeter.present.tables import notes
from stabilimeter.present.wording import MISSING, count, listed, printable
from stabilimeter.records.group_key import is_path_key, is_seed_key
from stabilimeter.records.manifest import Manifest
from stabilimeter.records.run import Run
from stabilimeter.records.sweep import RunGroup

MAX_SETTINGS = 80
MAX_COLUMNS = 8
MAX_LENGTH = 200
HIDDEN = "(hidden)"
_SECRET = re.compile(r"(^|[_-])(password|passwd|secret|token|credentials?|(api|access|private|secret)[_-]?key|apikey)$")


def configuration(material: Material) -> Section:
    """Settings that tell the groups apart, settings they share, the environment, and what was noted."""
    settings = [_settings(material.runs_of(group)) for _, group in material.named]
    manifests = [run.manifest for group in material.sweep.groups for run in group.runs if run.manifest is not None]
    differing, common = _split(settings)
    blocks: list[Block] = [_environment(manifests)] if manifests else []
    if differing:
        columns = (Column("group"), *(Column(printable(key)) for key in differing[:MAX_COLUMNS]))
        rows = tuple(
            row(label, *(own.get(key, MISSING) for key in differing[:MAX_COLUMNS]))
            for (label, _), own in zip(material.named, settings, strict=True)
        )
        blocks.append(Table("Settings that tell the groups apart", columns, rows))
    if common:
        rows = tuple(row(printable(key), settings[0][key]) for key in common[:MAX_SETTINGS])
        title = "Settings" if len(settings) == 1 else "Settings of all groups"
        blocks.append(Table(title, (Column("setting"), Column("value")), rows))
    n_more = max(0, len(differing) - MAX_COLUMNS) + max(0, len(common) - MAX_SETTINGS)
    if n_more:
        blocks.append(Prose(f"{count(n_more, 'more setting')} in the manifests.", Tone.FAINT))
    remarks = notes(material.named, material.summary.notes)
    if remarks is not None:
        blocks.append(material.grouped(remarks))
    return Section(
        "Configuration and environment",
        "What exactly was run, and on what?",
        _answer(material, manifests, has_settings=any(settings)),
        tuple(blocks),
    )


def _answer(material: Material, manifests: Sequence[Manifest], *, has_settings: bool) -> str:
    n_runs = sum(len(group.runs) for group in material.sweep.groups)
    if not manifests:
        if has_settings:
            return "These are logs of another tool: settings are those it noted; it says nothing of the environment."
        return "These are logs of another tool: they say nothing of configuration or environment."
    commits = {manifest.git_commit for manifest in manifests}
    dirty = any(manifest.git_dirty for manifest in manifests)
    text = f"{len(manifests)} of {count(n_runs, 'run')} say what they were: "
    if commits == {None}:
        return f"{text}no git commit is recorded, so the code cannot be told."
    text += f"{count(len(commits), 'version')} of the code"
    return f"{text}, with changes that were not committed: not reproducible from git alone." if dirty else f"{text}."


def _environment(manifests: Sequence[Manifest]) -> Table:
    facts: dict[str, list[str]] = {
        "git commit": [
            MISSING
            if one.git_commit is None
            else one.git_commit[:12] + (", changes not committed" * bool(one.git_dirty))
            for one in manifests
        ],
        "device": [one.device or MISSING for one in manifests],
        "processes (ranks)": [str(one.world_size) for one in manifests],
        "planned steps": [MISSING if one.planned_steps is None else str(one.planned_steps) for one in manifests],
    }
    for package in sorted({name for one in manifests for name in one.packages}):
        facts[package] = [one.packages.get(package, MISSING) for one in manifests]
    rows = tuple(
        row(printable(name), listed([printable(value) for value in dict.fromkeys(values)]))
        for name, values in facts.items()
    )
    caption = "Several values: the runs differ." if any(len(set(values)) > 1 for values in facts.values()) else ""
    return Table("Environment", (Column("what"), Column("value")), rows, caption, heads_needed=False)


def _settings(group: RunGroup) -> dict[str, str]:
    """The settings that all runs of a group share, without seed and paths."""
    known = [own for run in group.runs if (own := _settings_of(run))]
    return (
        {key: value for key, value in known[0].items() if all(own.get(key) == value for own in known)} if known else {}
    )


def _settings_of(run: Run) -> dict[str, str]:
    if run.manifest is not None and run.manifest.config:
        return dict(_flat(run.manifest.config, ""))
    if run.overrides is not None:
        pairs = [text.partition("=") for text in run.overrides.others]
        return {key: _shown(key, value) for key, _, value in pairs}
    return {}


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, own in value.items():
            yield from _flat(own, f"{path}.{key}" if path else str(key))
        return
    last = path.rpartition(".")[2]
    if not is_seed_key(last) and not is_path_key(last):
        yield path, _shown(path, value)


def _shown(path: str, value: Any) -> str:
    if _SECRET.search(path.rpartition(".")[2].lower()):
        return HIDDEN
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return printable(text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}...")


def _split(settings: Sequence[Mapping[str, str]]) -> tuple[list[str], list[str]]:
    """Keys whose value differs between groups, and keys that all groups have in common."""
    keys = sorted({key for own in settings for key in own})
    differing = [key for key in keys if len({own.get(key) for own in settings}) > 1]
    return differing, [key for key in keys if key not in differing]
