"""The Hydra callback that follows a sweep."""

import atexit
import logging
import math
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf

from stabilimeter.analysis.recipe_error import RecipeError
from stabilimeter.multirun.folder_name import folder_name
from stabilimeter.multirun.mark import job_folder, mark_failed
from stabilimeter.multirun.mistakes import impossible_seed, missing_seed, overridden_values, repeated_value, unwritable
from stabilimeter.multirun.screen import duration, is_rank_zero, last_values, say
from stabilimeter.multirun.varied_seed import varied_seed
from stabilimeter.present.wording import count
from stabilimeter.records.manifest import MANIFEST_FILE, RECORD_DIR, read_manifest

if TYPE_CHECKING:
    from stabilimeter.multirun.question import Question

log = logging.getLogger(__name__)

# Here, because Hydra imports this module before it names the first folder, in every process that runs jobs.
OmegaConf.register_new_resolver("stabilimeter.folder_name", folder_name, replace=True)
OmegaConf.register_new_resolver("stabilimeter.varied_seed", varied_seed, replace=True)

EXIT_SEEDS_FAILED = 3
"""Exit status of a sweep that ran to its end with failed seeds; 1 is a mistake found before training."""


class MultirunSummary(Callback):
    """Follows a sweep; chosen with ``hydra/callbacks=stability``.

    Before the first run it refuses what would cost one: a missing, repeated or impossible seed, a folder that cannot be
    written. A run that raises becomes a failed seed with its reason on disk, and the sweep goes on. After the last run
    it prints and writes the summary; the process exits with status 3 if a seed of this sweep failed.

    Hydra calls end hooks in reverse: list this callback first, so that the others come before it and see the exception.

    Args:
        seed_key: Where the seed stands in the config.
        question: What is asked of the sweep at its end; None for the summary.
    """

    def __init__(self, seed_key: str = "seed", question: "Question | None" = None) -> None:
        self.seed_key = seed_key
        self.question = question
        self.n_jobs: int | None = None
        self.start_ns = 0
        self.job_start = 0.0
        self.manifest_before: int | None = None

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """A single run, before its folder exists."""
        if is_rank_zero():
            _refuse(self._wrong_seed(config))
            HydraConfig.instance().set_config(config)  # for ${hydra:...} in the folder's name
            _refuse(unwritable(Path(config.hydra.run.dir)))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """A sweep, before its first job, in the process that launches."""
        if not is_rank_zero():
            return
        values = overridden_values(config)
        folder = Path(config.hydra.sweep.dir)
        seeds = values.get(self.seed_key)
        _refuse(self._wrong_seed(config) if seeds is None else impossible_seed(self.seed_key, seeds))
        _refuse(repeated_value(values))
        _refuse(unwritable(folder))
        self.start_ns = folder.stat().st_mtime_ns  # changed just now, by the clock of the file system
        self.n_jobs = math.prod(map(len, values.values())) or None
        atexit.register(_say_how_to_go_on, folder)
        runs = count(self.n_jobs, "run") if self.n_jobs else "Runs"
        print(f"{runs} in {folder} (Ctrl-C stops; the same command resumes)", flush=True)

    def on_job_start(self, config: DictConfig, *, task_function: TaskFunction, **kwargs: Any) -> None:
        """In the process that trains, before it does."""
        self.job_start = time.monotonic()
        self.manifest_before = _modified_ns(_manifest())

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """In the process that trained: marks a failed run as such, and lets the sweep go on."""
        error = job_return._return_value if job_return.status is JobStatus.FAILED else None
        if is_rank_zero():
            place = f"   (run {config.hydra.job.num + 1} of {self.n_jobs})" if self.n_jobs else ""
            say(f"{self._outcome(config, error)}{place}")
        if error is not None and config.hydra.mode is RunMode.MULTIRUN:
            job_return.return_value = math.nan
            job_return.status = JobStatus.COMPLETED

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """After the last job, in the process that launched; everything is read from disk."""
        if not is_rank_zero():
            return
        from stabilimeter.multirun.ending import end, job_folders  # the analysis takes a moment to import

        atexit.unregister(_say_how_to_go_on)
        jobs = job_folders(Path(config.hydra.sweep.dir), config.hydra.output_subdir, self.start_ns)
        if not jobs:
            sys.exit(f"no run has left a trace in {config.hydra.sweep.dir}")
        try:
            ending = end(jobs, self.start_ns, self.question)
        except RecipeError as error:
            raise SystemExit(f"the runs are there, but no answer: {error}") from error
        except Exception as error:  # Hydra would turn it into a warning and exit with status 0
            log.exception("the summary failed")
            raise SystemExit(f"the runs are there, but not their summary: {error}") from error
        if not ending.n_trained:
            done = count(len(jobs), "run")
            print(f"Nothing to do: {done} had finished before. Remove a run's folder to train it again.")
        if ending.failed:
            print(
                f"{len(ending.failed)} of {count(len(jobs), 'run')} failed: {', '.join(ending.failed)}", file=sys.stderr
            )
            sys.exit(EXIT_SEEDS_FAILED)

    def _wrong_seed(self, config: DictConfig) -> str | None:
        seed = OmegaConf.select(config, self.seed_key)
        return missing_seed(config, self.seed_key) or (None if seed is None else impossible_seed(self.seed_key, [seed]))

    def _outcome(self, config: DictConfig, error: BaseException | None) -> str:
        """How the current run ended, in words; a failed one is marked on disk."""
        if error is not None:
            log.error("the run failed", exc_info=error)
            seed = OmegaConf.select(config, self.seed_key)
            return f"failed: {mark_failed(seed, error)}"
        if _modified_ns(_manifest()) == self.manifest_before:
            status = read_manifest(_manifest()).status if _manifest().exists() else None
            return "ended" if status is None else f"{status.value} before, kept"
        status = read_manifest(_manifest()).status
        took = duration(time.monotonic() - self.job_start)
        ended = f"{'ended' if status is None else status.value} after {took}"
        return ", ".join(filter(None, (ended, last_values(job_folder()))))


def _refuse(mistake: str | None) -> None:
    if mistake is not None:
        sys.exit(mistake)


def _manifest() -> Path:
    return job_folder() / RECORD_DIR / MANIFEST_FILE


def _modified_ns(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.exists() else None


def _say_how_to_go_on(folder: Path) -> None:
    """The sweep ended before its last run: Ctrl-C, ``sys.exit`` in a run, a worker that was killed."""
    shown = shlex.quote(str(folder))
    print(
        f"\nThe sweep stopped before its end. The same command goes on from here; stabilimeter summarize {shown} shows "
        "what there is.",
        file=sys.stderr,
    )
