"""`CheckpointRegression`: is this checkpoint worse than the best so far, beyond noise, and is it healthy?"""

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor

from stabilimeter.callbacks.checkpoints.example_keeper import ExampleKeeper
from stabilimeter.callbacks.checkpoints.health import unhealthy_numbers, unhealthy_tensors
from stabilimeter.callbacks.checkpoints.judge import EvaluationJudge
from stabilimeter.callbacks.checkpoints.keeper import CheckpointKeeper
from stabilimeter.callbacks.checkpoints.outcome_collector import OutcomeCollector
from stabilimeter.callbacks.checkpoints.outcomes import DIRECTIONS, Outcomes
from stabilimeter.callbacks.checkpoints.report import CheckpointReport
from stabilimeter.callbacks.checkpoints.sibling_noise import SiblingNoise, read_sibling_noise
from stabilimeter.callbacks.clock import last_step_done
from stabilimeter.callbacks.recording.evaluations import Evaluations
from stabilimeter.callbacks.recording.run_folder import check_writable, run_folder
from stabilimeter.records.checkpoint_log import Evaluation, SavedCheckpoint, full_path, relative_path
from stabilimeter.stats.checkpoint_verdict import ALPHA, Rule, Verdict

LOADER_MARK = "/dataloader_idx_"


class CheckpointRegression(Callback):
    """Judges every evaluation against the best so far and the one before, and keeps healthy checkpoints.

    **Verdict**: better, same or worse. If `validation_step` returns outcomes per example, by a paired test on the same
    examples: exact McNemar for correctness, sign flips or Student's t for losses and scores. Otherwise by the size of
    the difference against noise: that of siblings, runs of the same recipe with other seeds that `StabilityMonitor` has
    recorded by the first evaluation, else that of this run's own evaluations, from the sixth on.
    Against the best, p is corrected for the best being the luckiest.

    **Outcomes**: `validation_step` returns a dict with

    - ``"index"``: position of each example in its dataset, ``(batch,)`` whole numbers; needed, because examples are
      matched by it, and counted once where a distributed sampler repeats them;
    - one or more of ``"correct"`` (bool), ``"loss"``, ``"score"`` (higher is better), each ``(batch,)``;
    - optionally ``"prediction"``, class or text per example, for churn;
    - optionally ``"slice"``, number or name per example: each slice gets a verdict of its own (Holm-corrected).

    They stay on the device until the evaluation is over, and are then copied once. With several dataloaders an example
    is one of its dataloader, each dataloader is a slice, and ``monitor="acc/dataloader_idx_1"`` judges that one alone.
    The last outcomes, and how sure the model was of each example over all evaluations, are kept in
    ``stability/examples.npz``: a summary of several seeds tells where they differ.

    **Health**: when a checkpoint is saved, parameters and optimizer state, the last training loss and the monitored
    metric have to be finite. A sick checkpoint never overwrites a healthy one, and while the run is sick no healthy one
    is deleted, whatever `ModelCheckpoint` is told (see `checkpoints/keeper.py`). ``stability/last_healthy.json`` names
    the last healthy one.

    All of it goes to ``<folder>/stability/checkpoints.jsonl``, a few numbers and sentences to the loggers (through
    `StabilityMonitor` if there is one). Weights and random states are those of a run without it.

    Args:
        monitor: Metric that decides, as logged in validation.
        mode: ``"min"`` or ``"max"``: which direction is better.
        judge_by: Outcome to test, ``"correct"``, ``"loss"`` or ``"score"``; None for ``"loss"`` if there is one and
            ``mode`` is ``"min"``, else the first of correct, score and loss.
        alpha: Chance, at most, that an evaluation is not called the same though nothing has changed.
        min_difference: Differences up to this size (of the mean outcome, or of the metric where there are no outcomes)
            are the same, however certain.
        dirpath: Folder of the run; None for that of its logger, else ``default_root_dir``, as `StabilityMonitor` does.

    Raises:
        ValueError: If an argument is not one of the above.
        MisconfigurationException: If an evaluation has not logged ``monitor``, or a Trainer has two of these.
    """

    # Lightning dispatches every hook that can be called, at 12 us each; these run at every batch.
    on_train_batch_start = None  # type: ignore[assignment]
    on_before_backward = None  # type: ignore[assignment]
    on_after_backward = None  # type: ignore[assignment]
    on_before_optimizer_step = None  # type: ignore[assignment]
    on_before_zero_grad = None  # type: ignore[assignment]
    on_validation_batch_start = None  # type: ignore[assignment]

    def __init__(
        self,
        monitor: str,
        mode: str,
        judge_by: str | None = None,
        alpha: float = ALPHA,
        min_difference: float = 0.0,
        dirpath: str | os.PathLike[str] | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(monitor, str) or not monitor:
            raise ValueError(f"monitor must be the name of a logged metric, got {monitor!r}")
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', got {mode!r}")
        if judge_by not in (None, *DIRECTIONS):
            raise ValueError(f"judge_by must be one of {', '.join(DIRECTIONS)} or None, got {judge_by!r}")
        if not 0 < alpha < 1:
            raise ValueError(f"alpha must lie in (0, 1), got {alpha!r}")
        if not min_difference >= 0:
            raise ValueError(f"min_difference must be a number, at least 0, got {min_difference!r}")
        self._monitor = monitor
        self._rule = Rule(mode, alpha, min_difference)
        self._judge_by = judge_by
        self._dirpath = dirpath
        self._state_key = self._generate_state_key(monitor=monitor, mode=mode, judge_by=judge_by)
        self._folder: Path | None = None
        self._keeper: CheckpointKeeper | None = None
        self._judge: EvaluationJudge | None = None
        self._collector: OutcomeCollector | None = None
        self._siblings: SiblingNoise | None = None
        self._evaluations = Evaluations(reserved=())
        self._loss: Tensor | None = None
        self._value: float | None = None
        self._has_warned = False
        self._state: dict[str, Any] = {}
        self._trainer: Any = None

    @property
    def state_key(self) -> str:
        """Tells the states of two of these in one Trainer apart."""
        return self._state_key

    def setup(self, trainer: Any, pl_module: LightningModule, stage: str) -> None:
        """Find a folder, and stand between whoever saves and the strategy."""
        if stage != "fit":
            return
        if sum(isinstance(callback, CheckpointRegression) for callback in trainer.callbacks) > 1:
            raise MisconfigurationException(
                "a Trainer takes one CheckpointRegression: two would judge, and keep, the same checkpoints. Leave the "
                "one whose metric decides which checkpoint you use."
            )
        if self._judge is not None:  # a fit that ended in an exception is not torn down
            self._state = self._present_state()
        self._judge = None
        if self._keeper is not None:
            self._keeper.remove()
        self._keeper = None
        self._trainer = trainer
        self._folder = None if trainer.fast_dev_run else run_folder(trainer, self._dirpath)
        self._report = CheckpointReport(self._folder, trainer)
        self._examples = ExampleKeeper(self._report.record if trainer.is_global_zero else None)
        if self._folder is not None:
            if trainer.is_global_zero:
                check_writable(self._folder)
            self._keeper = CheckpointKeeper(trainer, self._health, self._saved, self._healthy)
            self._keeper.install()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open the record, now that a checkpoint has been restored."""
        self._judge = EvaluationJudge(self._rule, self._judge_by)
        self._siblings = self._loss = None
        self._value = None
        if self._state and self._state["step"] == trainer.global_step:
            if self._state["judge"] is not None:
                self._judge.load_state_dict(self._state["judge"])
            self._value = self._state["value"]
            self._examples.load_state_dict(self._state["examples"])
        elif not trainer.global_step:
            self._examples.forget()
        self._state = {}
        if trainer.is_global_zero:
            last_step = last_step_done(trainer) if trainer.global_step else -1
            log = self._report.open(last_step)
            known = -1 if self._judge.last_step is None else self._judge.last_step
            for evaluation in log.evaluations:
                if known < evaluation.step <= last_step and evaluation.monitor == self._monitor:
                    self._judge.recall(evaluation.step, evaluation.value)
            if self._keeper is not None:
                sick = {full_path(saved.path, self._folder or "") for saved in log.saved if saved.unhealthy}
                last = log.last_healthy if trainer.global_step else None
                self._keeper.remember(sick, None if last is None else full_path(last.path, self._folder or ""))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep the loss, unread."""
        self._loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin an evaluation."""
        self._collector = None
        if self._judge is not None or trainer.sanity_checking:
            self._collector = OutcomeCollector()
            self._evaluations.mark(trainer)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep what `validation_step` returned, where it is."""
        if self._collector is not None:
            self._collector.add(outputs, dataloader_idx)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Judge."""
        collector, self._collector = self._collector, None
        if collector is None:
            return
        outcomes = collector.take(trainer.world_size)
        metrics = self._evaluations.new_metrics(trainer)
        if self._monitor not in trainer.callback_metrics:
            if trainer.sanity_checking and len(trainer.num_val_batches) > 1:
                return  # metrics of several dataloaders are not to be seen yet
            raise MisconfigurationException(
                f"CheckpointRegression(monitor={self._monitor!r}) did not find that metric among those logged by the "
                f"end of validation: {', '.join(sorted(trainer.callback_metrics)) or 'none'}. Log it in "
                "validation_step or on_validation_epoch_end, or name one of these."
            )
        value = float(trainer.callback_metrics[self._monitor])
        if self._judge is None or trainer.sanity_checking:
            return
        self._value = value
        unhealthy = self._agreed(trainer, self._health({"state_dict": dict(pl_module.named_parameters())}))
        if trainer.is_global_zero:
            self._enter(trainer, value, metrics, outcomes, unhealthy)

    def _enter(
        self,
        trainer: Trainer,
        value: float,
        metrics: dict[str, float],
        outcomes: Outcomes | None,
        unhealthy: tuple[str, ...],
    ) -> None:
        if self._judge is None:
            return
        step = last_step_done(trainer)
        _, mark, loader = self._monitor.rpartition(LOADER_MARK)
        if outcomes is not None and mark and loader.isdigit():
            mine = outcomes.loaders == int(loader)
            outcomes = outcomes.chosen(mine) if mine.any() else None
        noise = self._sibling_noise().at(step)
        if step == self._judge.last_step:  # resumed at an evaluation: the same weights are evaluated again
            return
        judged = self._judge.judged(step, value, outcomes, noise, is_healthy=not unhealthy)
        evaluation = Evaluation(
            step=step,
            epoch=trainer.current_epoch,
            wall_time=time.time(),
            monitor=self._monitor,
            mode=self._rule.mode,
            value=value,
            metrics={self._monitor: value, **metrics},
            verdict=Verdict.WORSE if unhealthy else judged.verdict,
            against_best=judged.against_best,
            against_previous=judged.against_previous,
            drawdown=judged.drawdown,
            examples=judged.examples,
            slices=judged.slices,
            unhealthy=unhealthy,
        )
        if self._judge.examples_changed and not self._has_warned:
            self._has_warned = True
            rank_zero_warn(
                "CheckpointRegression: an evaluation has other examples than before. Verdicts rest on those it shares "
                "with the earlier one; forgetting is counted anew.",
                category=UserWarning,
            )
        self._report.enter(evaluation)
        self._report.log(evaluation)
        self._examples.enter(step, outcomes)

    def _sibling_noise(self) -> SiblingNoise:
        """Read at the first evaluation of a fit: a `StabilityMonitor` has opened its record by then."""
        if self._siblings is None:
            self._siblings = read_sibling_noise(self._folder, self._monitor)
        return self._siblings

    # Checkpoints

    def _health(self, checkpoint: Mapping[str, Any]) -> tuple[str, ...]:
        module = self._trainer.lightning_module
        numbers = {} if self._value is None else {self._monitor: self._value}
        if isinstance(self._loss, Tensor):
            numbers["train loss"] = float(self._loss.detach().float().mean())
        return unhealthy_tensors(checkpoint, [name for name, _ in module.named_parameters()]) + unhealthy_numbers(
            numbers
        )

    @staticmethod
    def _agreed(trainer: Trainer, unhealthy: tuple[str, ...]) -> tuple[str, ...]:
        if trainer.strategy.reduce_boolean_decision(not unhealthy, all=True) or unhealthy:
            return unhealthy
        return ("not healthy on another rank",)

    def _saved(self, saved: SavedCheckpoint) -> None:
        self._report.enter(self._from_folder(saved))

    def _healthy(self, saved: SavedCheckpoint) -> None:
        self._report.point(self._from_folder(saved))

    def _from_folder(self, saved: SavedCheckpoint) -> SavedCheckpoint:
        folder = self._folder or ""
        asked = None if saved.instead_of is None else relative_path(saved.instead_of, folder)
        return replace(saved, path=relative_path(saved.path, folder), instead_of=asked)

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain Python: values of all evaluations, outcomes of the best and of the last."""
        return self._present_state() if self._judge is not None else self._state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state until training starts."""
        self._state = state_dict

    def _present_state(self) -> dict[str, Any]:
        judge = None if self._judge is None else self._judge.state_dict()
        examples = self._examples.state_dict()
        return {"step": self._trainer.global_step, "judge": judge, "value": self._value, "examples": examples}

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the state for a fit that goes on."""
        if self._judge is not None:
            self._state = self._present_state()
        self._judge = self._loss = None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Stay between whoever saves and the strategy: `ModelCheckpoint` may save after this."""
        self._collector = None
        if self._keeper is not None:
            self._keeper.stop_asking()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give the strategy its methods back."""
        if stage == "fit" and self._keeper is not None:
            self._keeper.remove()
            self._keeper = None
