"""The configuration of a run, and the key that runs share which differ in nothing but the seed."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from stabilimeter.records.group_key import group_key


def configuration(trainer: Trainer, module: LightningModule) -> tuple[dict[str, Any], str | None]:
    """Resolved configuration, and group key.

    Inside a Hydra job both come from its ``.hydra/config.yaml``; the key from the unresolved text, in which a path that
    holds the seed is still the same for all seeds. Otherwise from the hyper-parameters that the module and the
    datamodule have saved. Without any the key is None, and readers group by folder.
    """
    hydra = _hydra_config()
    if hydra is not None:
        resolved, unresolved = hydra
        return resolved, group_key(unresolved)
    parameters = {"module": _plain(dict(module.hparams_initial))}
    datamodule: Any = getattr(trainer, "datamodule", None)
    if datamodule is not None:
        parameters["datamodule"] = _plain(dict(datamodule.hparams_initial))
    if not any(parameters.values()):
        return {}, None
    return parameters, group_key({"class": _name(type(module)), **parameters})


def job_folder() -> Path:
    """Folder in which the user started the program, also where Hydra has changed it since."""
    module = sys.modules.get("hydra.core.hydra_config")
    if module is not None and module.HydraConfig.initialized():
        return Path(module.HydraConfig.get().runtime.cwd)
    return Path.cwd()


def output_folder() -> Path | None:
    """Output folder of the Hydra job that runs; None outside Hydra."""
    module = sys.modules.get("hydra.core.hydra_config")
    if module is None or not module.HydraConfig.initialized():
        return None
    return Path(module.HydraConfig.get().runtime.output_dir)


def _hydra_config() -> tuple[dict[str, Any], dict[str, Any]] | None:
    module = sys.modules.get("hydra.core.hydra_config")
    if module is None or not module.HydraConfig.initialized():
        return None
    hydra = module.HydraConfig.get()
    if hydra.output_subdir is None:
        return None
    path = Path(hydra.runtime.output_dir) / hydra.output_subdir / "config.yaml"
    if not path.is_file():
        return None
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    config = OmegaConf.load(path)
    unresolved = _plain(OmegaConf.to_container(config, resolve=False))
    try:
        return _plain(OmegaConf.to_container(config, resolve=True)), unresolved
    except OmegaConfBaseException:  # an interpolation that only the user's program can resolve
        return unresolved, unresolved


def _plain(item: Any) -> Any:
    """``item`` as JSON values; an object counts by its type, because its text may hold an address."""
    if item is None or isinstance(item, bool | int | float | str):
        return item
    if isinstance(item, Mapping):
        return {str(key): _plain(value) for key, value in item.items()}
    if isinstance(item, list | tuple | set | frozenset):
        parts = [_plain(part) for part in item]
        return sorted(parts, key=repr) if isinstance(item, set | frozenset) else parts
    if isinstance(item, Path):
        return str(item)
    return _name(item if isinstance(item, type) else type(item))


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
