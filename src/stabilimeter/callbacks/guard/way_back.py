"""The states of training that a rollback may lead to, and the rollback."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer

from stabilimeter.callbacks.guard.panel import Panel
from stabilimeter.callbacks.guard.samples import DrawnSamples
from stabilimeter.callbacks.guard.snapshot import Snapshot


class HealthyStates:
    """A few snapshots. Training goes back to the last one that has proved healthy.

    A loss shows late that the weights have gone wrong. So a snapshot counts only once a whole interval without trouble
    has followed, and no longer when it turns out that trouble had begun before that interval was over. Until the first
    one counts, the state in which training started does.

    Args:
        first: That state.
        most: Number of snapshots to keep, the one on trial included; at least 2.
    """

    def __init__(self, first: Snapshot, most: int) -> None:
        self._most = most
        self._proved = [(first, first.step)]
        self._on_trial: Snapshot | None = None

    @property
    def last(self) -> Snapshot | None:
        """Where to go back to; None if trouble is older than every snapshot."""
        return self._proved[-1][0] if self._proved else None

    def end_trial(self, step: int) -> None:
        """An interval is over after ``step`` steps; make room for the next snapshot."""
        if self._on_trial is not None:
            self._proved = [*self._proved, (self._on_trial, step)][1 - self._most :]
        self._on_trial = None

    def begin_trial(self, snapshot: Snapshot) -> None:
        """Call it after `end_trial`."""
        self._on_trial = snapshot

    def doubt(self, onset: int) -> None:
        """There is trouble, and step ``onset`` was its first: let go of what had not proved healthy before."""
        self._on_trial = None
        self._proved = [(snapshot, proved_at) for snapshot, proved_at in self._proved if proved_at <= onset]


class WayBack:
    """Takes snapshots, and takes training back to one.

    Args:
        trainer: The Trainer.
        module: Its module.
        panel: What it has learnt goes back as well.
        drawn: The data, which go back if they can.
        every_n_steps: Interval between snapshots, in optimizer steps.
        num_snapshots: How many are kept.
    """

    def __init__(
        self,
        trainer: Trainer,
        module: LightningModule,
        panel: Panel,
        drawn: DrawnSamples,
        every_n_steps: int,
        num_snapshots: int,
    ) -> None:
        self._trainer, self._module = trainer, module
        self._panel, self._drawn = panel, drawn
        self._every_n_steps = every_n_steps
        self._interval = self._present_interval
        self._healthy = HealthyStates(self._snapshot(), num_snapshots)
        self._planned: tuple[Snapshot, int] | None = None
        self._last_restored: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a healthy state to go back to."""
        return self._healthy.last is not None

    def doubt(self, onset: int) -> None:
        """There is trouble, which began at step ``onset``."""
        self._healthy.doubt(onset)

    def plan(self, onset: int) -> dict[str, Any]:
        """Go back at the end of this batch, from trouble that began at step ``onset``.

        Returns:
            Evidence for the record: ``restored_step``, ``onset_step``, and ``batches_again`` if the data go back.
        """
        healthy = self._healthy.last
        if healthy is None:
            return {}
        self._planned = healthy, onset
        evidence: dict[str, Any] = {"restored_step": healthy.step, "onset_step": onset}
        if self._draws_again(healthy):
            evidence["batches_again"] = len(self._drawn.between(healthy.position, onset))
        return evidence

    def end_batch(self) -> None:
        """Go back if that is planned, or else keep the state if one is due and there is no trouble."""
        interval = self._present_interval
        if self._planned is not None:
            self._go_back(*self._planned)
            self._planned = None
        elif interval != self._interval:
            self._healthy.end_trial(self._trainer.global_step)
            if self._panel.onset is None:
                self._healthy.begin_trial(self._snapshot())
        self._interval = interval

    @property
    def _present_interval(self) -> int:
        return self._trainer.global_step // self._every_n_steps

    def _go_back(self, healthy: Snapshot, onset: int) -> None:
        self._panel.go_back(healthy.restore(self._trainer, self._module), self._trainer.global_step)
        if self._draws_again(healthy):
            self._drawn.go_back(healthy.position, onset)
        self._last_restored = healthy.step

    def _draws_again(self, healthy: Snapshot) -> bool:
        """Whether the data go back as well: the same data a second time would lead from this state to this place."""
        return self._drawn.can_go_back and healthy.step != self._last_restored

    def _snapshot(self) -> Snapshot:
        return Snapshot(self._trainer, self._module, self._drawn.position, self._panel.learnt())
