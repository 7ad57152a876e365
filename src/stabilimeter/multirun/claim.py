"""Who trains a run: nobody if it is done, somebody else if it is running, otherwise this process, from the start."""

import shutil
import sys

from stabilimeter.multirun.mark import job_configuration, job_folder, mark_started
from stabilimeter.multirun.screen import is_rank_zero, say
from stabilimeter.records.manifest import MANIFEST_FILE, RECORD_DIR, RunStatus
from stabilimeter.records.run import read_run

ENDED_BY_ITSELF = (RunStatus.COMPLETED, RunStatus.STOPPED, RunStatus.DIVERGED)
"""Results, good or bad. Training them again would give the same, or hide a failure."""


def claim(seed: int) -> bool:
    """Whether this process is to train the current Hydra job; says what it decided.

    A run that ended by itself is kept, so that the same command resumes a sweep. One that was interrupted starts over
    and its record is removed: the order of the data is not restored half-way, and a record never mixes two attempts.
    From then on a run that vanishes without a trace counts as a failed seed.

    Args:
        seed: The job's seed.
    """
    folder = job_folder()
    record = folder / RECORD_DIR
    run = read_run(folder) if (record / MANIFEST_FILE).exists() else None
    if run is not None and run.status in ENDED_BY_ITSELF:
        if run.manifest is not None and run.manifest.group != job_configuration()[1]:
            sys.exit(
                f"{folder} holds a run of another configuration (a config file has changed since): remove it, "
                "or choose another folder with hydra.sweep.dir=..."
            )
        return False
    if not is_rank_zero():
        return True  # one more process of a training that rank 0 has claimed
    if run is not None and run.status is RunStatus.RUNNING:
        say("another process is training it; left alone")
        return False
    if run is None:
        say("training")
    else:
        say(f"training from the start; the earlier attempt: {run.status.value}")
        shutil.rmtree(record)
    mark_started(seed)
    return True
