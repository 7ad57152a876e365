"""``stabilimeter compare``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from stabilimeter.cli.arguments import add_reading, command, positive
from stabilimeter.cli.output import check_output, table_stream, write
from stabilimeter.cli.reading import read_folder
from stabilimeter.cli.usage import UsageError

if TYPE_CHECKING:
    from stabilimeter.cli.arguments import Commands

EPILOG = """\
worse        a larger share of its seeds failed, or the primary metric is worse
better       the primary metric is better, or fewer seeds failed and it did not suffer
equivalent   the 95 % interval of the difference lies within the margin
inconclusive these seeds cannot tell; the answer says how many would

Exact permutation test of the means over the seeds that did not fail; by pairs where both sides have
the same seeds, six or more. The default margin is the standard deviation over seeds of the baseline.

exit status: 0 whatever the answer; 64 wrong usage, unreadable input, or groups that do not compare

examples:
  stabilimeter compare runs/main runs/this_branch
  stabilimeter compare logs/a logs/b --metric val/bleu --mode max --margin 0.2
  stabilimeter compare multirun multirun --baseline-group lr=0.01 --candidate-group lr=0.03
"""


def add_to(commands: "Commands") -> None:
    """Add the command to the program."""
    parser = command(
        commands,
        "compare",
        summary="is the candidate better, worse, equivalent, or can these seeds not tell?",
        description="Compare two groups of seeds: their metrics, failed seeds, spread and stability.",
        epilog=EPILOG,
    )
    for side in ("baseline", "candidate"):
        parser.add_argument(side, metavar=f"{side.upper()}_DIR", type=Path, help=f"folder with the runs of the {side}")
    add_reading(parser)
    parser.add_argument(
        "--margin", metavar="X", type=positive, help="largest difference of the primary metric that does not matter"
    )
    for side in ("baseline", "candidate"):
        parser.add_argument(
            f"--{side}-group", metavar="LABEL", help=f"which group of {side.upper()}_DIR, if it holds several"
        )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    import numpy as np

    from stabilimeter.analysis.compare import compare
    from stabilimeter.analysis.comparison import ComparisonError
    from stabilimeter.present.comparison import comparison_json, render_comparison
    from stabilimeter.present.terminal import show

    check_output(arguments.json)
    try:
        comparison = compare(
            read_folder(arguments, arguments.baseline),
            read_folder(arguments, arguments.candidate),
            rng=np.random.default_rng(0),
            metric=arguments.metric,
            mode=arguments.mode,
            margin=arguments.margin,
            target=arguments.target,
            baseline_group=arguments.baseline_group,
            candidate_group=arguments.candidate_group,
        )
    except ComparisonError as error:
        raise UsageError(str(error)) from error
    show(render_comparison(comparison), table_stream(arguments.json))
    write(arguments.json, comparison_json(comparison))
    return 0
