"""The program ``stabilimeter``: its commands, and how it ends."""

import argparse
import os
import sys
from collections.abc import Sequence

from stabilimeter import __version__
from stabilimeter.cli import compare, gate, report, summarize
from stabilimeter.cli.usage import EXIT_USAGE, Parser, UsageError

EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

COMMANDS = (summarize, compare, gate, report)

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
    for command in COMMANDS:
        command.add_to(commands)
    return parser
