"""Mistakes that would cost a run, found before the first one starts."""

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

LARGEST_SEED = 2**32 - 1


def overridden_values(config: DictConfig) -> dict[str, list[str]]:
    """The values that the command line and the sweeper's defaults give to each key, as text.

    A key swept over something that cannot be listed here (an interval, a glob) has no values.
    """
    defaults = OmegaConf.select(config, "hydra.sweeper.params") or {}
    texts = [f"{key}={value}" for key, value in defaults.items()] + list(config.hydra.overrides.task)
    return {override.key_or_group: _values(override) for override in OverridesParser.create().parse_overrides(texts)}


def repeated_value(values: Mapping[str, Sequence[str]]) -> str | None:
    """Two jobs with the same overrides would write to one folder: what is wrong, if anything is.

    >>> repeated_value({"seed": ["1", "2", "1"]})
    'seed has 1 more than once: give each value once'
    """
    for key, given in values.items():
        repeated = sorted({value for value in given if given.count(value) > 1})
        if repeated:
            return f"{key} has {', '.join(repeated)} more than once: give each value once"
    return None


def impossible_seed(key: str, values: Sequence[object]) -> str | None:
    """What is wrong with these seeds, if anything is.

    >>> impossible_seed("seed", ["0", "-1"])
    'seed=-1 is not a seed: give a whole number from 0 to 4294967295'
    """
    for value in values:
        text = str(value)
        if not (text.isdecimal() and int(text) <= LARGEST_SEED):
            return f"{key}={text} is not a seed: give a whole number from 0 to {LARGEST_SEED}"
    return None


def missing_seed(config: DictConfig, key: str) -> str | None:
    """A message if the config asks for a seed (``seed: ???``) and none was given."""
    try:
        OmegaConf.select(config, key, throw_on_missing=True)
    except MissingMandatoryValue:
        return f"{key} is missing: give this run its seed ({key}=0), or sweep several (--multirun '{key}=range(0,5)')"
    return None


def refuse_incomplete(config: DictConfig) -> None:
    """Ends the program, with one line, if a value that the user must decide is missing.

    Raises:
        SystemExit: with the names of what is missing.
    """
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        sys.exit(f"nothing to train: give a value to {', '.join(missing)}; conf/experiment/own.yaml shows how")


def unwritable(folder: Path) -> str | None:
    """Makes ``folder`` and a file in it that lives for a moment: what goes wrong, if anything does."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"cannot write to {folder} ({os.strerror(error.errno or 0)}): choose another folder"


def _values(override: Override) -> list[str]:
    if not override.is_sweep_override():
        return [str(override.value())]
    if not override.is_discrete_sweep() or override.value_type is ValueType.GLOB_CHOICE_SWEEP:
        return []
    return list(override.sweep_string_iterator())
