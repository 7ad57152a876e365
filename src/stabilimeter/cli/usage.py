"""Wrong usage: one line on standard error, and an exit status that no verdict has."""

import argparse
from typing import NoReturn

EXIT_USAGE = 64


class UsageError(Exception):
    """Something the user can put right; the message is one line."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line and exit with 64 (2 means 'inconclusive' here)."""

    def error(self, message: str) -> NoReturn:
        """Print the error and leave."""
        self.exit(EXIT_USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")
