"""What a sweep says while it runs: one line when a run starts, one when it ends."""

import os
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from stabilimeter.records import keys
from stabilimeter.records.run import read_run

MAX_METRICS = 3


def say(message: str) -> None:
    """One line about the current job, named by the overrides in which it differs from others of its sweep."""
    hydra = HydraConfig.get()
    saved = Path(hydra.sweep.dir) / "multirun.yaml"
    of_sweep = OmegaConf.load(saved).hydra.overrides.task if hydra.mode is RunMode.MULTIRUN and saved.exists() else []
    own = [override for override in hydra.overrides.task if override not in of_sweep]
    print(f"{' '.join(own or hydra.overrides.task)}: {message}", flush=True)


def is_rank_zero() -> bool:
    """Whether this process speaks for its training: under ``ddp`` every rank runs the whole command."""
    return all(os.environ.get(name, "0") == "0" for name in ("LOCAL_RANK", "SLURM_PROCID"))


def last_values(folder: Path) -> str:
    """The last values of the user's own metrics, the monitored one first."""
    run = read_run(folder)
    signals = {spec.key for spec in run.manifest.signals} if run.manifest else set()
    signals |= set(keys.CHECKPOINT_NOTES)
    monitor = run.manifest.monitor if run.manifest else None
    metrics = sorted((key for key in run if key not in signals), key=lambda key: (key != monitor, key))
    return ", ".join(f"{key} {run[key].values[-1]:.4g}" for key in metrics[:MAX_METRICS])


def duration(seconds: float) -> str:
    """A time as people say it.

    >>> duration(5.4), duration(200), duration(9000)
    ('5 s', '3 min', '2.5 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
