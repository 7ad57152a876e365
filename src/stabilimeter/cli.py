"""The command line: arguments in, exit status out; everything else happens in the layers below.

Layers are imported by the command that needs them, so that ``--help`` is instant.
"""

import argparse
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

from stabilimeter import __version__

if TYPE_CHECKING:
    from stabilimeter.analysis.summary import Summary
    from stabilimeter.records.sweep import Sweep

EXIT_GATE = {"pass": 0, "fail": 1, "inconclusive": 2}
EXIT_USAGE = 64
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

DESCRIPTION = "Is this training recipe stable? Reads the runs of several seeds and answers with numbers."

EPILOG = """\
examples:
  stabilimeter summarize multirun/digits_cnn
  stabilimeter summarize logs --metric val_loss --mode min --json summary.json
  stabilimeter compare runs/main runs/this_branch
  stabilimeter gate multirun/digits_cnn --checks checks.yaml --junit gate.xml
  stabilimeter report multirun/digits_cnn -o report.html

DIR is a sweep of our recipes, or any folder with TensorBoard or CSV logs of several runs.
"""

SUMMARIZE_EPILOG = """\
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

COMPARE_EPILOG = """\
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

GATE_EPILOG = """\
A checks file is a YAML list; every group of the sweep must pass every line:
  - {score: failure_rate, max: 0}                # as observed
  - {score: stability.given_completion, min: 60} # by its 95 % interval
  - {score: val/accuracy, min: 0.95}             # a metric: by its 95 % interval
  - {score: spike_rate, max: 1e-3}               # a score of one seed: by the worst seed
With --baseline also, by the 95 % interval of the difference:
  - {score: val/accuracy, not_worse_than: baseline, margin: 0.01}
and no larger share of the seeds may fail than in the baseline, as observed.

exit status: 0 pass, 1 fail, 2 inconclusive, 64 wrong usage or unreadable input
"""


REPORT_EPILOG = """\
The HTML file is complete in itself: it opens offline, prints, and can be attached to a pull request
or a mail. Markdown has the same text and tables without the pictures. With --baseline every group is
compared with the baseline's only group, or with its group of the same label.

exit status: 0 also when seeds failed; 64 wrong usage, unreadable input, or a baseline that does not compare

examples:
  stabilimeter report multirun/digits_cnn -o report.html
  stabilimeter report runs/this_branch --baseline runs/main -o report.html
  stabilimeter report logs --format md
"""


class UsageError(Exception):
    """Something the user can put right; the message is one line."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and exit with 64 (2 means 'inconclusive' here)."""

    def error(self, message: str) -> NoReturn:
        """Print the error and leave."""
        self.exit(EXIT_USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        argv: Arguments without the program's name; default: those of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal without ± must not stop a summary
            stream.reconfigure(errors="replace")
    try:
        arguments = _parser().parse_args(argv)
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except UsageError as error:
        print(f"stabilimeter: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader has gone: what the interpreter still flushes at exit must not raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    return status


def _parser() -> Parser:
    plain = argparse.RawDescriptionHelpFormatter
    parser = Parser("stabilimeter", description=DESCRIPTION, epilog=EPILOG, formatter_class=plain, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"stabilimeter {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    summarize = commands.add_parser(
        "summarize",
        help="score, failed seeds, metrics and incidents of every group",
        description="Summarise the runs in a folder: which groups are stable, which seeds failed, and why.",
        epilog=SUMMARIZE_EPILOG,
        formatter_class=plain,
        allow_abbrev=False,
    )
    _add_common(summarize)
    summarize.add_argument(
        "--tensorboard", metavar="OUT", type=Path, help="write the bands across seeds as TensorBoard runs below OUT"
    )
    summarize.add_argument(
        "--watch",
        metavar="SECONDS",
        nargs="?",
        const=5.0,
        type=_pause,
        help="follow a sweep while it trains, with so many seconds between looks (default 5)",
    )
    summarize.set_defaults(run=_summarize)
    compare = commands.add_parser(
        "compare",
        help="is the candidate better, worse, equivalent, or can these seeds not tell?",
        description="Compare two groups of seeds: their metrics, failed seeds, spread and stability.",
        epilog=COMPARE_EPILOG,
        formatter_class=plain,
        allow_abbrev=False,
    )
    for side in ("baseline", "candidate"):
        compare.add_argument(side, metavar=f"{side.upper()}_DIR", type=Path, help=f"folder with the runs of the {side}")
    _add_reading(compare)
    compare.add_argument(
        "--margin", metavar="X", type=_positive, help="largest difference of the primary metric that does not matter"
    )
    for side in ("baseline", "candidate"):
        compare.add_argument(
            f"--{side}-group", metavar="LABEL", help=f"which group of {side.upper()}_DIR, if it holds several"
        )
    compare.set_defaults(run=_compare)
    gate = commands.add_parser(
        "gate",
        help="pass, fail or inconclusive, for CI",
        description="Judge every group of a sweep by the bounds of a checks file.",
        epilog=GATE_EPILOG,
        formatter_class=plain,
        allow_abbrev=False,
    )
    _add_common(gate)
    gate.add_argument("--checks", metavar="FILE", type=Path, required=True, help="YAML list of bounds")
    gate.add_argument(
        "--baseline",
        metavar="DIR",
        type=Path,
        help="what 'not_worse_than: baseline' compares with",
    )
    gate.add_argument("--junit", metavar="FILE", type=Path, help="write the result as JUnit XML")
    gate.set_defaults(run=_gate)
    report = commands.add_parser(
        "report",
        help="one file to hand on: the answer in plain words, pictures, tables, methods",
        description="Write a report of the runs in a folder that explains itself.",
        epilog=REPORT_EPILOG,
        formatter_class=plain,
        allow_abbrev=False,
    )
    report.add_argument("dir", metavar="DIR", type=Path, help="folder with the runs")
    report.add_argument("-o", "--output", metavar="FILE", help="where to write it; - is standard output")
    report.add_argument("--format", choices=("html", "md"), default="html", help="default: html")
    report.add_argument("--baseline", metavar="DIR", type=Path, help="runs to compare with")
    _add_judging(report)
    report.set_defaults(run=_report)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", metavar="DIR", type=Path, help="folder with the runs")
    _add_reading(parser)


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON; - is standard output")
    _add_judging(parser)


def _add_judging(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--metric", metavar="TAG", help="primary metric (default: what the runs monitored)")
    parser.add_argument("--mode", choices=("min", "max"), help="which direction of the primary metric is better")
    parser.add_argument(
        "--target", metavar="X", type=_finite, help="a seed whose primary metric does not reach X in the end has failed"
    )
    parser.add_argument(
        "--group-by",
        choices=("config", "parent"),
        default="config",
        help="runs form a group if they share the configuration but for the seed (default), or the parent folder",
    )


def _finite(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a finite number, got {text!r}")
    return value


def _positive(text: str) -> float:
    value = _finite(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value


def _pause(text: str) -> float:
    try:
        return _positive(text)
    except argparse.ArgumentTypeError:
        message = f"expected seconds above 0, got {text!r}; give DIR before --watch"
        raise argparse.ArgumentTypeError(message) from None


def _summarize(arguments: argparse.Namespace) -> int:
    from stabilimeter.present.publish import summary_json
    from stabilimeter.present.terminal import render, show

    if arguments.watch is not None:
        return _watch(arguments)
    _check_output(arguments.json)
    sweep, summary = _read(arguments, arguments.dir)
    tensorboard_dir = _refresh(arguments, sweep, summary)
    show(render(summary, arguments.dir, tensorboard_dir), _table_stream(arguments.json))
    _write(arguments.json, summary_json(summary))
    return 0


def _watch(arguments: argparse.Namespace) -> int:
    from stabilimeter.present.publish import summary_json
    from stabilimeter.present.screen import screen_on
    from stabilimeter.present.watch import Look, look_at, watch

    if arguments.json == "-":
        raise UsageError("--watch shows summary after summary on standard output: give --json a file")
    _check_output(arguments.json)

    def look() -> Look:
        return look_at(
            arguments.dir,
            group_by=arguments.group_by,
            metric=arguments.metric,
            mode=arguments.mode,
            target=arguments.target,
        )

    def refresh(sweep: "Sweep", summary: "Summary") -> Path | None:
        _write(arguments.json, summary_json(summary))
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


def _compare(arguments: argparse.Namespace) -> int:
    import numpy as np

    from stabilimeter.analysis.compare import compare
    from stabilimeter.analysis.comparison import ComparisonError
    from stabilimeter.present.comparison import comparison_json, render_comparison
    from stabilimeter.present.terminal import show

    _check_output(arguments.json)
    try:
        comparison = compare(
            _read_sweep(arguments, arguments.baseline),
            _read_sweep(arguments, arguments.candidate),
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
    show(render_comparison(comparison), _table_stream(arguments.json))
    _write(arguments.json, comparison_json(comparison))
    return 0


def _gate(arguments: argparse.Namespace) -> int:
    from stabilimeter.analysis.comparison import ComparisonError
    from stabilimeter.analysis.noninferiority import matched_sides
    from stabilimeter.analysis.side import sides_of
    from stabilimeter.present.baseline_gate import gate_with_baseline
    from stabilimeter.present.checks import CheckError, read_checks
    from stabilimeter.present.gate import gate
    from stabilimeter.present.junit import junit_xml
    from stabilimeter.present.terminal import render_gate, show
    from stabilimeter.records import strict_json

    _check_output(arguments.json)
    _check_output(arguments.junit)
    try:
        checks = read_checks(arguments.checks)
        sweep, summary = _read(arguments, arguments.dir)
        if arguments.baseline is None:
            result = gate(summary, checks)
        else:
            baseline = sides_of("baseline", *_read(arguments, arguments.baseline))
            pairs = matched_sides(baseline, sides_of("candidate", sweep, summary))
            result = gate_with_baseline(summary, checks, pairs)
    except (CheckError, ComparisonError) as error:
        raise UsageError(str(error)) from error
    _write(arguments.junit, junit_xml(result))
    show(render_gate(result), _table_stream(arguments.json))
    _write(arguments.json, strict_json.dumps(result.to_dict(), indent=1) + "\n")
    return EXIT_GATE[result.verdict.value]


def _report(arguments: argparse.Namespace) -> int:
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
    _check_output(arguments.output)
    baseline = None if arguments.baseline is None else _read(arguments, arguments.baseline)
    sweep, summary = _read(arguments, arguments.dir)
    try:
        compared = () if baseline is None else against_baseline(sides_of("baseline", *baseline), sweep, summary)
    except ComparisonError as error:
        raise UsageError(str(error)) from error
    material = Material(arguments.dir.resolve().name, sweep, summary, compared)
    made = report(material, made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"))
    _write(arguments.output or "-", html(made) if arguments.format == "html" else report_markdown(made))
    return 0


def _read(arguments: argparse.Namespace, folder: Path) -> "tuple[Sweep, Summary]":
    import numpy as np

    from stabilimeter.analysis.primary import UnknownMetricError
    from stabilimeter.analysis.summarize import summarize
    from stabilimeter.present.progress import progress

    sweep = _read_sweep(arguments, folder)
    try:
        with progress("summarising groups") as on_progress:
            summary = summarize(
                sweep,
                rng=np.random.default_rng(0),
                metric=arguments.metric,
                mode=arguments.mode,
                target=arguments.target,
                on_progress=on_progress,
            )
    except UnknownMetricError as error:
        raise UsageError(str(error)) from error
    return sweep, summary


def _read_sweep(arguments: argparse.Namespace, folder: Path) -> "Sweep":
    from stabilimeter.present.progress import progress
    from stabilimeter.records.record_error import RecordError
    from stabilimeter.records.sweep import read_sweep

    try:
        with progress("reading runs") as on_progress:
            return read_sweep(folder, group_by=arguments.group_by, on_progress=on_progress)
    except RecordError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(f"cannot read {error.filename or folder}: {error.strerror}") from error


def _table_stream(json_target: str | None) -> TextIO:
    """Where the table goes: standard output, unless that is to be pure JSON."""
    return sys.stderr if json_target == "-" else sys.stdout


def _check_output(target: str | Path | None) -> None:
    """Find out before the work whether its result can be written."""
    if target is None or str(target) == "-":
        return
    path = Path(target)
    replaced = path.is_file() or not path.exists()  # a device or pipe is written to as it is
    if path.is_dir() or not os.access(path.parent if replaced else path, os.W_OK):
        raise UsageError(f"cannot write {path}: give a file in a folder that exists and can be written")


def _write(target: str | Path | None, text: str) -> None:
    from stabilimeter.present.publish import write_text

    if target is None:
        return
    if str(target) == "-":
        sys.stdout.write(text)
        return
    try:
        write_text(Path(target), text)
    except OSError as error:
        raise UsageError(f"cannot write {target}: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
