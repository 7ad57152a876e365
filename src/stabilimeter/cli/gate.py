"""``stabilimeter gate``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from stabilimeter.cli.arguments import add_common, command
from stabilimeter.cli.output import check_output, table_stream, write
from stabilimeter.cli.reading import read_and_summarize
from stabilimeter.cli.usage import UsageError

if TYPE_CHECKING:
    from stabilimeter.cli.arguments import Commands

EXIT_STATUS = {"pass": 0, "fail": 1, "inconclusive": 2}

EPILOG = """\
A checks file is a YAML list; every group of the sweep must pass every line:
  - {score: failure_rate, max: 0}                # as observed
  - {score: stability.given_completion, min: 60} # by its 95 % interval
  - {score: val/accuracy, min: 0.95}             # a metric: by its 95 % interval
  - {score: spike_rate, max: 1e-3}               # a score of one seed: by the worst seed
With --baseline also, by the 95 % interval of the difference:
  - {score: val/accuracy, not_worse_than: baseline, margin: 0.01}
and no larger share of the seeds may fail than in the baseline, as observed.
To judge by other conventions than those of docs/score.md:
  - {half_points: {noise: 0.1, spikes: 0.002}}   # what earns half marks
  - {weights: {regression: 2}}                   # relative to the others, which have 1

exit status: 0 pass, 1 fail, 2 inconclusive, 64 wrong usage or unreadable input
"""


def add_to(commands: "Commands") -> None:
    """Add the command to the program."""
    parser = command(
        commands,
        "gate",
        summary="pass, fail or inconclusive, for CI",
        description="Judge every group of a sweep by the bounds of a checks file.",
        epilog=EPILOG,
    )
    add_common(parser)
    parser.add_argument("--checks", metavar="FILE", type=Path, required=True, help="YAML list of bounds")
    parser.add_argument(
        "--baseline",
        metavar="DIR",
        type=Path,
        help="what 'not_worse_than: baseline' compares with",
    )
    parser.add_argument("--junit", metavar="FILE", type=Path, help="write the result as JUnit XML")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from stabilimeter.analysis.comparison import ComparisonError
    from stabilimeter.analysis.noninferiority import matched_sides
    from stabilimeter.analysis.side import sides_of
    from stabilimeter.present.baseline_gate import gate_with_baseline
    from stabilimeter.present.checks import CheckError, read_checks
    from stabilimeter.present.gate import gate
    from stabilimeter.present.junit import junit_xml
    from stabilimeter.present.terminal import render_gate, show
    from stabilimeter.records import strict_json

    check_output(arguments.json)
    check_output(arguments.junit)
    try:
        file = read_checks(arguments.checks)
        checks = file.checks
        sweep, summary = read_and_summarize(arguments, arguments.dir, file.half_points)
        if arguments.baseline is None:
            result = gate(summary, checks)
        else:
            baseline = sides_of("baseline", *read_and_summarize(arguments, arguments.baseline, file.half_points))
            pairs = matched_sides(baseline, sides_of("candidate", sweep, summary))
            result = gate_with_baseline(summary, checks, pairs)
    except (CheckError, ComparisonError) as error:
        raise UsageError(str(error)) from error
    write(arguments.junit, junit_xml(result))
    show(render_gate(result), table_stream(arguments.json))
    write(arguments.json, strict_json.dumps(result.to_dict(), indent=1) + "\n")
    return EXIT_STATUS[result.verdict.value]
