"""A mark on disk for every run that was started, so that a seed is never absent from a summary, only failed."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from stabilimeter.records.group_key import group_key
from stabilimeter.records.manifest import MANIFEST_FILE, RECORD_DIR, Manifest, RunStatus, read_manifest

MAX_REASON = 200


def job_folder() -> Path:
    """Folder of the current Hydra job."""
    return Path(HydraConfig.get().runtime.output_dir)


def job_configuration() -> tuple[dict[str, Any], str | None]:
    """Resolved configuration and group key of the current job, from what Hydra saved of it."""
    hydra = HydraConfig.get()
    path = job_folder() / str(hydra.output_subdir) / "config.yaml"
    if not path.is_file():
        return {}, None
    saved = OmegaConf.load(path)
    unresolved: Any = OmegaConf.to_container(saved, resolve=False)
    try:
        resolved: Any = OmegaConf.to_container(saved, resolve=True)
    except OmegaConfBaseException:  # an interpolation that only the user's program can resolve
        resolved = unresolved
    return resolved, group_key(unresolved)


def mark_started(seed: int | None) -> None:
    """Leaves a manifest without an end mark, which ``StabilityMonitor`` replaces when training begins.

    It names no process: the one that trains may be a child of this one.
    """
    now = time.time()
    config, group = job_configuration()
    path = job_folder() / RECORD_DIR / MANIFEST_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    Manifest(seed=seed, config=config, group=group, started=now, heartbeat=now).write(path)


def mark_failed(seed: int | None, error: BaseException) -> str:
    """Sets the end mark of a run that raised, unless it has one, and returns the reason."""
    path = job_folder() / RECORD_DIR / MANIFEST_FILE
    if not path.exists():
        mark_started(seed)
    manifest = read_manifest(path)
    if manifest.status is not None and manifest.reason is not None:
        return manifest.reason
    while isinstance(error, InstantiationException) and error.__cause__ is not None:
        error = error.__cause__  # what the user's own class raised
    text = " ".join(f"{type(error).__name__}: {error}".split())
    reason = text if len(text) <= MAX_REASON else text[: MAX_REASON - 3] + "..."
    now = time.time()
    replace(manifest, status=RunStatus.FAILED, reason=reason, heartbeat=now, ended=now).write(path)
    return reason
