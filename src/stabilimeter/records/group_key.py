"""The key that runs share which differ in nothing but the seed."""

import hashlib
from collections.abc import Mapping
from typing import Any

from stabilimeter.records import strict_json

_SEED_KEYS = frozenset({"seed", "random_seed", "random_state", "seed_everything"})
_PATH_KEYS = frozenset(
    {
        "cache_dir",
        "ckpt_path",
        "data_dir",
        "default_root_dir",
        "dirpath",
        "log_dir",
        "output_dir",
        "paths",
        "root_dir",
        "save_dir",
        "work_dir",
    }
)


def is_seed_key(key: str) -> bool:
    """Whether a setting of this name is a seed.

    >>> is_seed_key("seed"), is_seed_key("seedling")
    (True, False)
    """
    return key in _SEED_KEYS


def is_path_key(key: str) -> bool:
    """Whether a setting of this name says where something lies, which differs between seeds without meaning."""
    return key in _PATH_KEYS


def group_key(config: Mapping[str, Any]) -> str:
    """Hash of ``config`` without seeds and paths.

    Args:
        config: Plain JSON values; unresolved, so that a path that holds the seed is the same for all seeds.

    >>> group_key({"lr": 0.1, "seed": 0}) == group_key({"seed": 1, "lr": 0.1}) != group_key({"lr": 0.2, "seed": 0})
    True
    """
    text = strict_json.dumps(_sorted_without(config))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _sorted_without(item: Any) -> Any:
    if isinstance(item, Mapping):
        kept = sorted(key for key in item if not is_seed_key(key) and not is_path_key(key))
        return {key: _sorted_without(item[key]) for key in kept}
    return [_sorted_without(part) for part in item] if isinstance(item, list) else item
