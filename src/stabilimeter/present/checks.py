"""A checks file: which bounds the scores of a recipe have to respect, and by which conventions they are made."""

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import yaml

from stabilimeter.stats.stability import HalfPoints, Weights

EXAMPLE = "- {score: failure_rate, max: 0}"
CONVENTIONS = ("half_points", "weights")
EXAMPLE_MARGIN = "- {score: val/accuracy, not_worse_than: baseline, margin: 0.01}"

Side = Literal["min", "max", "margin"]


class CheckError(ValueError):
    """A checks file cannot be used; the message is one line: file, line number, what is wrong, what to write."""


@dataclass(frozen=True)
class Check:
    """A bound on a score.

    Attributes:
        score: Name of the score or metric.
        side: ``"min"`` if the score must not be below the limit, ``"max"`` if it must not be above, ``"margin"`` if it
            must not be worse than the baseline's by the limit.
        limit: The limit itself, which respects a minimum or maximum.
        where: File and line, for messages.
    """

    score: str
    side: Side
    limit: float
    where: str

    @property
    def bound(self) -> str:
        """The bound as a person writes it: ``max 0``."""
        if self.side == "margin":
            return f"not worse than baseline, margin {self.limit:g}"
        return f"{self.side} {self.limit:g}"

    def respects(self, value: float) -> bool:
        """Whether a value lies on the right side of a minimum or maximum; NaN does not."""
        return value >= self.limit if self.side == "min" else value <= self.limit


@dataclass(frozen=True)
class ChecksFile:
    """What a checks file holds.

    Attributes:
        checks: The bounds.
        half_points: The conventions of the stability score, as far as the file changes them.
    """

    checks: list[Check]
    half_points: HalfPoints


def read_checks(path: Path) -> ChecksFile:
    """The checks in a YAML file.

    A list of ``{score: NAME, min: NUMBER}``, ``{score: NAME, max: NUMBER}`` or
    ``{score: NAME, not_worse_than: baseline, margin: NUMBER}``; besides, to judge by conventions of one's own,
    ``{half_points: {noise: NUMBER}}`` and ``{weights: {noise: NUMBER}}``.

    Raises:
        CheckError: if the file cannot be read, is not YAML, or holds anything else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise CheckError(f"cannot read checks file {path}: {reason}") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f":{mark.line + 1}"
        problem = getattr(error, "problem", None) or "a character that YAML does not allow"
        raise CheckError(f"{path}{line}: not YAML: {problem}") from error
    if not isinstance(root, yaml.SequenceNode) or not root.value:
        raise CheckError(f"{path}: expected a list of checks, one or more lines such as '{EXAMPLE}'")
    lines = [(node, f"{path}:{node.start_mark.line + 1}") for node in root.value]
    conventions = [(node, where) for node, where in lines if _is_convention(node)]
    checks = [_check(node, where) for node, where in lines if not _is_convention(node)]
    if not checks:
        raise CheckError(f"{path}: expected a check beside the conventions, such as '{EXAMPLE}'")
    return ChecksFile(checks, _half_points(conventions))


def _is_convention(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode) and any(key.value in CONVENTIONS for key, _ in node.value)


def _half_points(lines: list[tuple[yaml.Node, str]]) -> HalfPoints:
    """The conventions, each of the two given at most once."""
    given: dict[str, dict[str, Any]] = {}
    for node, where in lines:
        for key, value in node.value:
            name = str(key.value)
            if name not in CONVENTIONS:
                raise CheckError(f"{where}: '{name}' beside conventions; give it a line of its own")
            if name in given:
                raise CheckError(f"{where}: '{name}' is given twice")
            given[name] = _numbers(value, name, where)
    return HalfPoints(**given.get("half_points", {}), weights=Weights(**given.get("weights", {})))


def _numbers(node: yaml.Node, name: str, where: str) -> dict[str, float]:
    components = [item.name for item in fields(Weights)]
    if not isinstance(node, yaml.MappingNode) or not node.value:
        raise CheckError(f"{where}: '{name}' must be a mapping such as {{noise: 0.1}}, got {_shown(node)}")
    numbers: dict[str, float] = {}
    for key, value in node.value:
        component = str(key.value)
        if component not in components or component in numbers:
            what = "is given twice" if component in numbers else f"is unknown; there are: {', '.join(components)}"
            raise CheckError(f"{where}: '{component}' in {name} {what}")
        numbers[component] = _number(value, component, where)
        if numbers[component] <= 0:
            raise CheckError(f"{where}: '{component}' in {name} must be above 0, got {numbers[component]:g}")
    return numbers


def _check(node: yaml.Node, where: str) -> Check:
    if not isinstance(node, yaml.MappingNode):
        raise CheckError(f"{where}: a check is a mapping such as '{EXAMPLE}'")
    entries: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = str(key.value)
        if name in entries:
            raise CheckError(f"{where}: '{name}' is given twice")
        entries[name] = value
    relative = {"not_worse_than", "margin"} & set(entries)
    unknown = sorted(set(entries) - {"score", "min", "max", "not_worse_than", "margin"})
    if unknown:
        raise CheckError(
            f"{where}: unknown key '{unknown[0]}'; a check has: score, and min, max or (not_worse_than, margin)"
        )
    if "score" not in entries:
        raise CheckError(f"{where}: 'score' is missing; write for example '{EXAMPLE}'")
    if relative:
        return _margin_check(entries, where)
    if ("min" in entries) == ("max" in entries):
        given = "both" if "min" in entries else "neither"
        raise CheckError(f"{where}: a check has either min or max, got {given}; use one line per bound")
    side: Side = "min" if "min" in entries else "max"
    return Check(_name(entries["score"], where), side, _number(entries[side], side, where), where)


def _margin_check(entries: dict[str, yaml.Node], where: str) -> Check:
    if set(entries) != {"score", "not_worse_than", "margin"}:
        raise CheckError(
            f"{where}: a check against a baseline has score, not_worse_than and margin, such as '{EXAMPLE_MARGIN}'"
        )
    score, other = _name(entries["score"], where), entries["not_worse_than"]
    if not isinstance(other, yaml.ScalarNode) or other.value != "baseline":
        raise CheckError(f"{where}: 'not_worse_than' must be 'baseline', got {_shown(other)}")
    margin = _number(entries["margin"], "margin", where)
    if margin < 0 or (margin == 0 and score != "failure_rate"):
        raise CheckError(f"{where}: 'margin' must be above 0 (0 or more for failure_rate), got {margin:g}")
    return Check(score, "margin", margin, where)


def _name(node: yaml.Node, where: str) -> str:
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:str" and node.value:
        return str(node.value)
    raise CheckError(f"{where}: 'score' must be the name of a score or metric, got {_shown(node)}")


def _number(node: yaml.Node, side: str, where: str) -> float:
    """A finite number; ``1e-3`` counts, which YAML 1.1 reads as text for want of a dot."""
    if isinstance(node, yaml.ScalarNode) and node.style is None and node.tag != "tag:yaml.org,2002:bool":
        try:
            value = float(node.value)
        except ValueError:
            value = math.nan
        if math.isfinite(value):
            return value
    raise CheckError(f"{where}: '{side}' must be a finite number, got {_shown(node)}")


def _shown(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        quote = node.style or ""
        return f"{quote}{node.value}{quote}" if node.value else "nothing"
    return "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
