"""What follows a sweep: the summary of what it left on disk."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stabilimeter.analysis.summarize import summarize
from stabilimeter.multirun.question import Question
from stabilimeter.present.publish import publish
from stabilimeter.present.terminal import render, show
from stabilimeter.records.discovery import find_runs
from stabilimeter.records.manifest import MANIFEST_FILE, RECORD_DIR
from stabilimeter.records.sweep import Sweep, read_sweep


@dataclass(frozen=True)
class Ending:
    """How the runs of a sweep stand.

    Attributes:
        folder: The folder that holds all of them, and that was summarised.
        n_trained: Runs that this sweep trained; the others were finished before.
        failed: Folders of the failed runs among them, relative to ``folder``.
    """

    folder: Path
    n_trained: int
    failed: tuple[str, ...]


def job_folders(sweep_dir: Path, output_subdir: str | None, since_ns: int) -> list[Path]:
    """Folders of the jobs that Hydra started in ``sweep_dir`` since ``since_ns`` (by the clock of the file system).

    Where Hydra was told to save nothing about its jobs, every run in ``sweep_dir`` counts.
    """
    if output_subdir is None:
        return [source.path for source in find_runs(sweep_dir)]
    saved = sweep_dir.rglob(f"{output_subdir}/overrides.yaml")
    return sorted(path.parent.parent for path in saved if path.stat().st_mtime_ns >= since_ns)


def common_folder(jobs: Sequence[Path]) -> Path:
    """The deepest folder that holds all of ``jobs``, so that a summary leaves out other sweeps beside this one.

    >>> common_folder([Path("multirun/gpt/lr=0.1/seed=0"), Path("multirun/gpt/lr=1.0/seed=0")]).as_posix()
    'multirun/gpt'
    """
    return Path(os.path.commonpath([job.parent for job in jobs]))


def end(jobs: Sequence[Path], since_ns: int, question: Question | None = None) -> Ending:
    """Summarises, writes ``summary.json`` and the runs for TensorBoard, and prints the summary or a recipe's answer.

    Args:
        jobs: Folders of the runs of this sweep, at least one.
        since_ns: When it began.
        question: What the recipe asks; None prints the summary.
    """
    folder = common_folder(jobs)
    sweep = read_sweep(folder)
    if question is not None:
        sweep = _only(sweep, jobs)
    summary = summarize(sweep, rng=np.random.default_rng(0))
    publish(summary, folder)
    content = render(summary, folder, folder) if question is None else question.answer(sweep, summary, folder)
    show(content, sys.stdout)
    failed = tuple(
        run.path for group in summary.groups for run in group.runs if run.failed and folder / run.path in jobs
    )
    manifests = [job / RECORD_DIR / MANIFEST_FILE for job in jobs]
    trained = [path for path in manifests if path.exists() and path.stat().st_mtime_ns >= since_ns]
    return Ending(folder, len(trained), failed)


def _only(sweep: Sweep, jobs: Sequence[Path]) -> Sweep:
    """A sweep without runs that happen to lie beside those of this one."""
    asked = set(jobs)
    groups = [replace(group, runs=tuple(run for run in group.runs if run.path in asked)) for group in sweep.groups]
    return replace(sweep, groups=tuple(group for group in groups if group.runs))
