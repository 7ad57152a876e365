"""Where a run comes from: seed, code, versions, device."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

_PACKAGES = ("stabilimeter", "torch", "lightning", "numpy")
_TIMEOUT_S = 10.0


def global_seed() -> int | None:
    """The seed given to ``seed_everything``, or None."""
    text = os.environ.get("PL_GLOBAL_SEED", "")
    return int(text) if text.lstrip("-").isdigit() else None


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """Commit of the repository that holds ``folder``, and whether tracked files differ from it; None where unknown."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None, None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return commit, None if changes is None else bool(changes)


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide how a model trains."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def device_name(device: torch.device) -> str:
    """For example ``cpu`` or ``cuda: NVIDIA A100-SXM4-80GB``."""
    return f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type


def _git(folder: Path, *arguments: str) -> str | None:
    command: list[Any] = ["git", "-C", folder, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
