"""`SeedSpread`: while a seed trains, where it lies among the other seeds of its group."""

import logging
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger

from stabilimeter.callbacks.monitor import StabilityMonitor
from stabilimeter.callbacks.recording.configuration import output_folder
from stabilimeter.callbacks.recording.logger_blocks import without_the_own_one
from stabilimeter.callbacks.recording.run_folder import run_folder
from stabilimeter.callbacks.seeds.comparison import Beside, beside, compared_keys, scalars
from stabilimeter.callbacks.seeds.outliers import KEY_PREFIX, SeedOutliers
from stabilimeter.records.events.appender import EventAppender, append
from stabilimeter.records.events.encoding import scalars_event
from stabilimeter.records.incident_log import INCIDENTS_FILE, incident_line
from stabilimeter.records.manifest import MANIFEST_FILE, RECORD_DIR, read_manifest
from stabilimeter.records.process import this_process
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.run_tail import RunTail
from stabilimeter.records.siblings import Siblings, folder_of_siblings
from stabilimeter.stats.incident import Incident, Kind

SPREAD_DIR = "seeds"
"""Folder beside the record, a TensorBoard run of its own: what siblings do is no part of what this run did."""

_logger = logging.getLogger(__name__)


class SeedSpread(Callback):
    """Says during training whether this seed goes the way of its siblings, finished or still running.

    Every so many seconds it reads what is new in the records of the other seeds of the group, and compares at the same
    step, for the training loss (median of the last 50 steps) and for every metric that the module logs:

    - ``seeds/<key>/low``, ``median``, ``high``: the siblings; ``n``: how many of them have come so far;
    - ``seeds/<key>/rank``: 1 if this seed is the best of all; ``z``: its distance from their median in robust standard
      deviations;
    - ``seeds/chance_of_failing`` with ``low`` and ``high`` (95 %): of the finished siblings whose training loss was
      most like this one's at this step, the share that failed in the end;
    - an incident ``outlier_seed``, told once and recorded, where this seed lies so far from those that have not failed
      that a seed like them would do so with a chance below ``alarm_rate``.

    These go to the Trainer's loggers and, live, to ``<run>/stability/seeds``, a TensorBoard run.

    It needs a `StabilityMonitor` in the same Trainer and reads nothing but records: this run's own and those of the
    folder that holds the seeds. Only rank 0 looks. A sibling that is missing, torn or being written costs nothing but
    its comparison; reading takes no more than ``budget_s`` at a time (and one piece of 4 MB), the rest follows at the
    next look. Weights and random states are not touched.

    Args:
        every_n_seconds: Look at most so often: after a batch, after a validation, and at the end in any case.
        budget_s: Seconds of reading per look.
        alarm_rate: Chance, per comparison of one series at one step, that a seed like its siblings is called an
            outlier, if seeds scatter like a Gaussian. With heavy tails it is higher: see ``docs/seed_spread.md``.
        level_steps: The level of a series is the median of this many steps.
        siblings: Folder that holds the runs of all seeds; None for the folder above ``seed=N`` in the path of this run,
            above the Hydra job, or above the run.
        dirpath: Folder of the run, if `StabilityMonitor` was given one.

    Raises:
        ValueError: If an argument is not one of the above.
    """

    # Lightning dispatches every hook that can be called, at 12 us each; these run at every batch.
    on_train_batch_start = None  # type: ignore[assignment]
    on_before_backward = None  # type: ignore[assignment]
    on_after_backward = None  # type: ignore[assignment]
    on_before_optimizer_step = None  # type: ignore[assignment]
    on_before_zero_grad = None  # type: ignore[assignment]
    on_validation_batch_start = None  # type: ignore[assignment]
    on_validation_batch_end = None  # type: ignore[assignment]
    on_train_batch_end = None  # type: ignore[assignment]

    def __init__(
        self,
        every_n_seconds: float = 10.0,
        budget_s: float = 0.2,
        alarm_rate: float = 1e-3,
        level_steps: int = 50,
        siblings: str | os.PathLike[str] | None = None,
        dirpath: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__()
        for name, number in (("every_n_seconds", every_n_seconds), ("budget_s", budget_s)):
            if not (math.isfinite(number) and number >= 0):
                raise ValueError(f"{name} must be a number of seconds, 0 or more, got {number!r}")
        if not 0 < alarm_rate < 1:
            raise ValueError(f"alarm_rate must be a chance between 0 and 1, got {alarm_rate!r}")
        if not isinstance(level_steps, int) or level_steps < 1:
            raise ValueError(f"level_steps must be a whole number of steps, at least 1, got {level_steps!r}")
        self._every_n_seconds = every_n_seconds
        self._budget_s = budget_s
        self._alarm_rate = alarm_rate
        self._level_steps = level_steps
        self._root = None if siblings is None else Path(siblings)
        self._dirpath = dirpath
        self._folder: Path | None = None
        self._state: dict[str, Any] = {}
        self._is_looking = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Find the folder of the run.

        Raises:
            ValueError: if no `StabilityMonitor` keeps the record that this compares.
        """
        self._folder = None
        if stage != "fit" or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        if not any(isinstance(callback, StabilityMonitor) for callback in trainer.callbacks):  # type: ignore[attr-defined]
            raise ValueError(
                "SeedSpread compares what StabilityMonitor records, and this Trainer has none: "
                "write Trainer(callbacks=[StabilityMonitor(), SeedSpread()])"
            )
        self._folder = run_folder(trainer, self._dirpath)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Get ready to look; on rank 0 only."""
        self._is_looking = False
        if self._folder is None or not trainer.is_global_zero:
            return
        self._own = RunTail(self._folder / RECORD_DIR)
        root = self._root or folder_of_siblings(self._folder.resolve(), output_folder())
        self._siblings = Siblings(root, self._folder)
        self._loggers: list[Logger] = without_the_own_one(trainer.loggers, self._folder)
        self._events: EventAppender | None = None
        self._started_at = trainer.global_step
        self._outliers = SeedOutliers(self._alarm_rate)
        self._last_steps: dict[str, int] = {}
        self._trainer = trainer
        self._has_warned = False
        if trainer.global_step and self._state.get("step") == trainer.global_step:
            self._outliers.load_state_dict(self._state["outliers"])
            self._last_steps = dict(self._state["last_steps"])
        self._state = {}
        self._next_look = time.monotonic() + self._every_n_seconds
        self._is_looking = True
        self.on_train_batch_end = self._on_train_batch_end

    def _on_train_batch_end(self, *_: Any, **__: Any) -> None:
        if time.monotonic() >= self._next_look:
            self._look(self._budget_s)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look, if it is time."""
        if self._is_looking and time.monotonic() >= self._next_look:
            self._look(self._budget_s)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look once more, now that everything is recorded."""
        if self._is_looking:
            self._look(self._budget_s)
            self._close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Record what is going on."""
        if self._is_looking:
            self._close()

    def state_dict(self) -> dict[str, Any]:
        """Plain Python: which steps were compared, and which outliers go on. What siblings did is read anew."""
        return self._present_state() if self._is_looking else self._state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state until training starts."""
        self._state = state_dict

    def _present_state(self) -> dict[str, Any]:
        return {
            "step": self._trainer.global_step,
            "outliers": self._outliers.state_dict(),
            "last_steps": dict(self._last_steps),
        }

    def _look(self, budget_s: float) -> None:
        """Read what is new, compare, log; whatever cannot be read or written now is left for the next look."""
        deadline = time.monotonic() + budget_s
        try:
            manifest = read_manifest(self._record / MANIFEST_FILE)
            self._own.read()
            keys = compared_keys(manifest, self._own)
            siblings = self._siblings.read(keys, deadline)
            found = [
                one
                for key in keys
                if (
                    one := beside(
                        key,
                        self._own.log().scalars[key],
                        siblings,
                        manifest,
                        window=self._level_steps,
                        after=self._last_steps.get(key, -1),
                    )
                )
                is not None
            ]
            self._log(found)
            for one in found:
                self._last_steps[one.key] = one.step
                self._judge(one)
        except (RecordError, OSError) as error:
            if not self._has_warned:
                _logger.warning("SeedSpread: nothing to compare yet: %s", error)
                self._has_warned = True
        self._next_look = time.monotonic() + self._every_n_seconds

    @property
    def _record(self) -> Path:
        return (self._folder or Path()) / RECORD_DIR

    def _log(self, found: Sequence[Beside]) -> None:
        rows = scalars(found)
        if not rows:
            return
        if self._events is None:
            folder = self._record / SPREAD_DIR
            folder.mkdir(exist_ok=True)
            self._events = EventAppender(folder, time.time(), this_process(), supersedes_from=self._started_at)
        for step, row in sorted(rows.items()):
            self._events.add(scalars_event(time.time(), step, row))
            for logger in self._loggers:
                logger.log_metrics(row, step)
        self._events.flush()
        for logger in self._loggers:
            logger.save()

    def _judge(self, one: Beside) -> None:
        if one.p is None:
            return
        place = one.place
        scale = math.nan if not place.z else (one.level - place.median) / place.z
        evidence = {"siblings": place.n, "low": place.low, "high": place.high, "rank": place.rank}
        finding = Incident(
            Kind.OUTLIER_SEED,
            one.step,
            one.step,
            one.level,
            place.median,
            scale,
            KEY_PREFIX + one.key,
            evidence={name: value for name, value in evidence.items() if value is not None},
        )
        told, is_new = self._outliers.judge(one.key, finding, one.p)
        if told is not None:
            self._record_incident(told)
        if is_new:
            _logger.warning(
                "SeedSpread: %s is %.4g at step %d where %d siblings lie between %.4g and %.4g (p = %.1g)",
                *(one.key, one.level, one.step, place.n, place.low, place.high, one.p),
            )

    def _record_incident(self, incident: Incident) -> None:
        append(self._record / INCIDENTS_FILE, incident_line(incident).encode())

    def _close(self) -> None:
        try:
            for incident in self._outliers.going_on():
                self._record_incident(incident)
        except OSError as error:
            _logger.warning("SeedSpread: the outlier incidents of the end are not recorded: %s", error)
        self._state = self._present_state()
        self._is_looking = False
        self.on_train_batch_end = None
