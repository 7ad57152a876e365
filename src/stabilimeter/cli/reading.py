"""Reads the folders that a command was given."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from stabilimeter.cli.usage import UsageError

if TYPE_CHECKING:
    from stabilimeter.analysis.summary import Summary
    from stabilimeter.records.sweep import Sweep
    from stabilimeter.stats.stability import HalfPoints


def read_and_summarize(
    arguments: argparse.Namespace, folder: Path, half_points: "HalfPoints | None" = None
) -> "tuple[Sweep, Summary]":
    """The runs of a folder and what is to be said about them, by conventions of the caller or the usual ones.

    Raises:
        UsageError: if they cannot be read, or have no such metric.
    """
    import numpy as np

    from stabilimeter.analysis.primary import UnknownMetricError
    from stabilimeter.analysis.summarize import summarize
    from stabilimeter.present.progress import progress

    sweep = read_folder(arguments, folder)
    try:
        with progress("summarising groups") as on_progress:
            summary = summarize(
                sweep,
                rng=np.random.default_rng(0),
                metric=arguments.metric,
                mode=arguments.mode,
                target=arguments.target,
                half_points=half_points,
                on_progress=on_progress,
            )
    except UnknownMetricError as error:
        raise UsageError(str(error)) from error
    return sweep, summary


def read_folder(arguments: argparse.Namespace, folder: Path) -> "Sweep":
    """The runs of a folder.

    Raises:
        UsageError: if they cannot be read.
    """
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
