"""Single settings of a run, by their place in its configuration."""

from collections.abc import Mapping
from typing import Any

from stabilimeter.records.run import Run


def setting(run: Run, key: str) -> Any:
    """The value at a dotted key of the configuration that a run recorded; None if there is none.

    Args:
        run: A run; one without a manifest has no settings.
        key: For example ``"model.lr"``.
    """
    found: Any = {} if run.manifest is None else run.manifest.config
    for part in key.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return found


def number_setting(run: Run, key: str) -> float | None:
    """The same as a number; None if it is none.

    A number in a YAML file without a decimal point (``1e-3``) is text to Hydra, and a number to us.
    """
    found = setting(run, key)
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        return None
    try:
        return float(found)
    except ValueError:
        return None
