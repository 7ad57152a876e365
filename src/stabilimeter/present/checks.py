"""A checks file: which bounds the scores of a recipe have to respect."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

EXAMPLE = "- {score: failure_rate, max: 0}"


class CheckError(ValueError):
    """A checks file cannot be used; the message is one line: file, line number, what is wrong, what to write."""


@dataclass(frozen=True)
class Check:
    """A bound on a score.

    Attributes:
        score: Name of the score or metric.
        side: ``"min"`` if the score must not be below the limit, ``"max"`` if it must not be above.
        limit: The limit itself, which respects the bound.
        where: File and line, for messages.
    """

    score: str
    side: Literal["min", "max"]
    limit: float
    where: str

    @property
    def bound(self) -> str:
        """The bound as a person writes it: ``max 0``."""
        return f"{self.side} {self.limit:g}"

    def respects(self, value: float) -> bool:
        """Whether a value lies on the right side; NaN does not."""
        return value >= self.limit if self.side == "min" else value <= self.limit


def read_checks(path: Path) -> list[Check]:
    """The checks in a YAML file: a list of ``{score: NAME, min: NUMBER}`` or ``{score: NAME, max: NUMBER}``.

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
    return [_check(node, f"{path}:{node.start_mark.line + 1}") for node in root.value]


def _check(node: yaml.Node, where: str) -> Check:
    if not isinstance(node, yaml.MappingNode):
        raise CheckError(f"{where}: a check is a mapping such as '{EXAMPLE}'")
    entries: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = str(key.value)
        if name in entries:
            raise CheckError(f"{where}: '{name}' is given twice")
        entries[name] = value
    if {"not_worse_than", "margin"} & set(entries):
        raise CheckError(
            f"{where}: 'not_worse_than' compares with a baseline, which needs a later version of stabilimeter; "
            "use min or max"
        )
    unknown = sorted(set(entries) - {"score", "min", "max"})
    if unknown:
        raise CheckError(f"{where}: unknown key '{unknown[0]}'; a check has: score, and either min or max")
    if "score" not in entries:
        raise CheckError(f"{where}: 'score' is missing; write for example '{EXAMPLE}'")
    if ("min" in entries) == ("max" in entries):
        given = "both" if "min" in entries else "neither"
        raise CheckError(f"{where}: a check has either min or max, got {given}; use one line per bound")
    side: Literal["min", "max"] = "min" if "min" in entries else "max"
    return Check(_name(entries["score"], where), side, _number(entries[side], side, where), where)


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
