"""``stabilimeter report``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from stabilimeter.cli.arguments import add_judging, command
from stabilimeter.cli.output import check_output, write
from stabilimeter.cli.reading import read_and_summarize
from stabilimeter.cli.usage import UsageError

if TYPE_CHECKING:
    from stabilimeter.cli.arguments import Commands

EPILOG = """\
The HTML file is complete in itself: it opens offline, prints, and can be attached to a pull request
or a mail. Markdown has the same text and tables without the pictures. With --baseline every group is
compared with the baseline's only group, or with its group of the same label.

exit status: 0 also when seeds failed; 64 wrong usage, unreadable input, or a baseline that does not compare

examples:
  stabilimeter report multirun/digits_cnn -o report.html
  stabilimeter report runs/this_branch --baseline runs/main -o report.html
  stabilimeter report logs --format md
"""


def add_to(commands: "Commands") -> None:
    """Add the command to the program."""
    parser = command(
        commands,
        "report",
        summary="one file to hand on: the answer in plain words, pictures, tables, methods",
        description="Write a report of the runs in a folder that explains itself.",
        epilog=EPILOG,
    )
    parser.add_argument("dir", metavar="DIR", type=Path, help="folder with the runs")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it; - is standard output")
    parser.add_argument("--format", choices=("html", "md"), default="html", help="default: html")
    parser.add_argument("--baseline", metavar="DIR", type=Path, help="runs to compare with")
    add_judging(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from datetime import datetime

    from stabilimeter.analysis.comparison import ComparisonError
    from stabilimeter.analysis.side import sides_of
    from stabilimeter.present.against_baseline import against_baseline
    from stabilimeter.present.report import report
    from stabilimeter.present.report_html import html
    from stabilimeter.present.report_markdown import report_markdown
    from stabilimeter.present.report_parts import Material

    if arguments.output is None and arguments.format == "html":
        raise UsageError("say where to write the report: -o report.html (or --format md for the terminal)")
    check_output(arguments.output)
    baseline = None if arguments.baseline is None else read_and_summarize(arguments, arguments.baseline)
    sweep, summary = read_and_summarize(arguments, arguments.dir)
    try:
        compared = () if baseline is None else against_baseline(sides_of("baseline", *baseline), sweep, summary)
    except ComparisonError as error:
        raise UsageError(str(error)) from error
    material = Material(arguments.dir.resolve().name, sweep, summary, compared)
    made = report(material, made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"))
    write(arguments.output or "-", html(made) if arguments.format == "html" else report_markdown(made))
    return 0
