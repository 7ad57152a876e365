"""Arguments that several commands have, and the types of their values."""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from stabilimeter.cli.usage import Parser

if TYPE_CHECKING:
    Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


def command(commands: "Commands", name: str, *, summary: str, description: str, epilog: str) -> Parser:
    """A new command of the program."""
    return commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_common(parser: argparse.ArgumentParser) -> None:
    """The folder, and everything about reading it."""
    parser.add_argument("dir", metavar="DIR", type=Path, help="folder with the runs")
    add_reading(parser)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Where the JSON goes, and how runs are judged."""
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON; - is standard output")
    add_judging(parser)


def add_judging(parser: argparse.ArgumentParser) -> None:
    """How runs are grouped and judged."""
    parser.add_argument("--metric", metavar="TAG", help="primary metric (default: what the runs monitored)")
    parser.add_argument("--mode", choices=("min", "max"), help="which direction of the primary metric is better")
    parser.add_argument(
        "--target", metavar="X", type=finite, help="a seed whose primary metric does not reach X in the end has failed"
    )
    parser.add_argument(
        "--group-by",
        choices=("config", "parent"),
        default="config",
        help="runs form a group if they share the configuration but for the seed (default), or the parent folder",
    )


def finite(text: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a finite number, got {text!r}")
    return value


def positive(text: str) -> float:
    """A number above 0."""
    value = finite(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value
