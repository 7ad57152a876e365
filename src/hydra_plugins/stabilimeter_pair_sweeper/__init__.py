"""A Hydra sweeper that trains a baseline and a candidate seed by seed, and stops when the question is settled.

Hydra imports this module each time an app starts: standard library and Hydra only.
"""

import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, ListConfig, OmegaConf

ARMS = ("baseline", "candidate")
TO_THE_SWEEP = (*ARMS, "pairs", "metric", "margin")
"""Overrides that no run is told, so that the runs of a baseline serve for every candidate."""


@dataclass
class PairSweeperConf:
    """Config of the sweeper, ``hydra/sweeper=pairs``.

    Attributes:
        max_batch_size: Runs that are launched together; the question is asked again after each batch.
        params: As for Hydra's basic sweeper.
    """

    _target_: str = "hydra_plugins.stabilimeter_pair_sweeper.PairSweeper"
    max_batch_size: int | None = 2
    params: dict[str, str] | None = field(default_factory=dict)


ConfigStore.instance().store(group="hydra/sweeper", name="pairs", node=PairSweeperConf, provider="stabilimeter")


class PairSweeper(BasicSweeper):
    """Sweeps ``seed`` and ``arm``; the overrides of an arm are listed in the config under its name.

    After each batch it asks the question of Hydra's callback ``stability``, which has ``is_settled(runs)`` for this,
    about the folders of all runs so far, in the order of the sweep.
    """

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Refuses two arms that are the same."""
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self._arms = {arm: [f"{key}={_as_text(value)}" for key, value in (config[arm] or {}).items()] for arm in ARMS}
        if self._arms["baseline"] == self._arms["candidate"]:
            sys.exit("baseline and candidate are the same: say what the candidate changes, 'candidate={model.lr:0.01}'")
        if any(str(item).startswith("seed=") for item in config.hydra.overrides.task):
            sys.exit("say how many pairs of seeds there may be with pairs=20; the seeds are then 0, 1, 2...")
        if self.launcher is not None:
            self._runs: list[Path] = []
            self.launcher.launch = partial(_launched, self.launcher.launch, self._runs)  # type: ignore[method-assign]

    def get_job_batch(self) -> Sequence[Sequence[str]]:
        """The next runs, each with the overrides of its arm in place of the lists of both."""
        batch = []
        for overrides in super().get_job_batch():
            given = dict(item.partition("=")[::2] for item in overrides)
            common = [item for item in overrides if item.partition("=")[0] not in TO_THE_SWEEP]
            batch.append([*common, *self._arms[given["arm"]]])
        return batch

    def is_done(self) -> bool:
        """Whether all runs are done, or enough."""
        return super().is_done() or (bool(self._runs) and self._question().is_settled(self._runs))

    def _question(self) -> Any:
        from hydra.utils import instantiate

        return None if self.config is None else instantiate(self.config.hydra.callbacks.stability.question)


def _launched(
    launch: Callable[..., Sequence[JobReturn]], runs: list[Path], batch: Sequence[Sequence[str]], initial_job_idx: int
) -> Sequence[JobReturn]:
    """What ``launch`` returns; the folders of the runs are noted."""
    results = launch(batch, initial_job_idx)
    runs += [Path(result.hydra_cfg.hydra.runtime.output_dir) for result in results if result.hydra_cfg is not None]
    return results


def _as_text(value: Any) -> str:
    """A value as Hydra's command line has it.

    >>> _as_text(0.01), _as_text("bf16-mixed"), _as_text("a b"), _as_text(True), _as_text([1, 2])
    ('0.01', 'bf16-mixed', '"a b"', 'true', '[1, 2]')
    """
    if isinstance(value, ListConfig | DictConfig):
        value = OmegaConf.to_container(value)
    return value if isinstance(value, str) and re.fullmatch(r"[\w./+-]+", value) else json.dumps(value)
