"""What a run was started with, without its seed: what tells its group from others."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stabilimeter.records.group_key import is_path_key, is_seed_key


@dataclass(frozen=True)
class Overrides:
    """Settings of one run.

    Attributes:
        others: All but the seed, as ``key=value``, sorted.
        seed: The seed; None if it is not among them.
        chosen: Somebody chose these few (Hydra's overrides); otherwise they are all settings there are.
    """

    others: tuple[str, ...]
    seed: int | None
    chosen: bool = True


def parameters(settings: Mapping[str, Any]) -> Overrides:
    """All hyper-parameters of a run, as a tracker noted them; paths count as little as the seed does.

    >>> parameters({"seed": 3, "lr": "0.1", "output_dir": "out/3"})
    Overrides(others=('lr=0.1',), seed=3, chosen=False)
    """
    seeds = {key: value for key, value in settings.items() if is_seed_key(_last(key))}
    others = sorted(
        f"{key}={value}" for key, value in settings.items() if key not in seeds and not is_path_key(_last(key))
    )
    return Overrides(tuple(others), _first_whole(seeds[key] for key in sorted(seeds, key=len)), chosen=False)


def _last(key: str) -> str:
    return key.replace("/", ".").rpartition(".")[2]


def _first_whole(values: Iterable[Any]) -> int | None:
    texts = [str(value).strip() for value in values]
    return next((int(text) for text in texts if text.lstrip("-").isdecimal()), None)
