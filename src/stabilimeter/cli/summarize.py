"""``stabilimeter summarize``."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stabilimeter.cli.arguments import add_common, command, positive
from stabilimeter.cli.output import check_output, table_stream, write
from stabilimeter.cli.reading import read_and_summarize
from stabilimeter.cli.usage import UsageError

if TYPE_CHECKING:
    from stabilimeter.analysis.summary import Summary
    from stabilimeter.cli.arguments import Commands
    from stabilimeter.records.sweep import Sweep

EPILOG = """\
Where DIR holds records of ours, DIR/summary.json and the runs DIR/across_seeds for TensorBoard
are refreshed; a folder of other logs is left untouched.

With --watch the summary follows the runs and files are refreshed when one starts or ends. It ends
half a minute after the last one, or by Ctrl-C; logs that carry no end mark end by Ctrl-C only.

exit status: 0 also when seeds failed; 64 wrong usage or unreadable input

examples:
  stabilimeter summarize multirun/digits_cnn
  stabilimeter summarize multirun/digits_cnn --watch 10
  stabilimeter summarize logs --group-by parent --metric val/bleu --mode max --target 30
  stabilimeter summarize logs --json - | jq '.groups[].stability.score'
  stabilimeter summarize logs --tensorboard bands && tensorboard --logdir bands
"""


def add_to(commands: "Commands") -> None:
    """Add the command to the program."""
    parser = command(
        commands,
        "summarize",
        summary="score, failed seeds, metrics and incidents of every group",
        description="Summarise the runs in a folder: which groups are stable, which seeds failed, and why.",
        epilog=EPILOG,
    )
    add_common(parser)
    parser.add_argument(
        "--tensorboard", metavar="OUT", type=Path, help="write the bands across seeds as TensorBoard runs below OUT"
    )
    parser.add_argument(
        "--watch",
        metavar="SECONDS",
        nargs="?",
        const=5.0,
        type=_pause,
        help="follow a sweep while it trains, with so many seconds between looks (default 5)",
    )
    parser.set_defaults(run=_run)


def _pause(text: str) -> float:
    try:
        return positive(text)
    except argparse.ArgumentTypeError:
        message = f"expected seconds above 0, got {text!r}; give DIR before --watch"
        raise argparse.ArgumentTypeError(message) from None


def _run(arguments: argparse.Namespace) -> int:
    from stabilimeter.present.publish import summary_json
    from stabilimeter.present.terminal import render, show

    if arguments.watch is not None:
        return _watch(arguments)
    check_output(arguments.json)
    sweep, summary = read_and_summarize(arguments, arguments.dir)
    tensorboard_dir = _refresh(arguments, sweep, summary)
    show(render(summary, arguments.dir, tensorboard_dir), table_stream(arguments.json))
    write(arguments.json, summary_json(summary))
    return 0


def _watch(arguments: argparse.Namespace) -> int:
    from stabilimeter.present.publish import summary_json
    from stabilimeter.present.screen import screen_on
    from stabilimeter.present.watch import Look, look_at, watch

    if arguments.json == "-":
        raise UsageError("--watch shows summary after summary on standard output: give --json a file")
    check_output(arguments.json)

    def look() -> Look:
        return look_at(
            arguments.dir,
            group_by=arguments.group_by,
            metric=arguments.metric,
            mode=arguments.mode,
            target=arguments.target,
        )

    def refresh(sweep: "Sweep", summary: "Summary") -> Path | None:
        write(arguments.json, summary_json(summary))
        return _refresh(arguments, sweep, summary)

    problem = watch(arguments.dir, look, screen_on(sys.stdout), refresh, arguments.watch)
    if problem is not None:
        raise UsageError(problem)
    return 0


def _refresh(arguments: argparse.Namespace, sweep: "Sweep", summary: "Summary") -> Path | None:
    """Write what a summary leaves on disk; the folder of the bands for TensorBoard, if there are any."""
    from stabilimeter.present.publish import publish
    from stabilimeter.present.tensorboard import write_summary_runs

    tensorboard_dir = None
    if any(run.manifest is not None for group in sweep.groups for run in group.runs):
        try:
            publish(summary, arguments.dir)
            tensorboard_dir = arguments.dir
        except OSError as error:
            print(f"note: {arguments.dir} was not refreshed: {error.strerror}", file=sys.stderr)
    if arguments.tensorboard is not None:
        try:
            write_summary_runs(summary, arguments.tensorboard)
            tensorboard_dir = arguments.tensorboard
        except OSError as error:
            raise UsageError(
                f"cannot write TensorBoard runs below {arguments.tensorboard}: {error.strerror}"
            ) from error
    return tensorboard_dir
