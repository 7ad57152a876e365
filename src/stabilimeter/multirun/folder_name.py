"""Overrides as the name of one folder, for ``hydra.sweep.subdir``."""

import hashlib

MAX_LENGTH = 200
"""File systems allow 255 bytes."""


def folder_name(overrides: str) -> str:
    """``hydra.job.override_dirname`` as one folder: no slashes, and not too long.

    >>> folder_name("model.lr=0.1,data.path=/mnt/x")
    'model.lr=0.1,data.path=_mnt_x'
    >>> len(folder_name("x" * 999)), folder_name("x" * 999) == folder_name("x" * 998)
    (200, False)
    """
    name = overrides.replace("/", "_").replace("\\", "_")
    if len(name) <= MAX_LENGTH:
        return name
    return f"{name[: MAX_LENGTH - 9]}-{hashlib.sha256(overrides.encode()).hexdigest()[:8]}"
