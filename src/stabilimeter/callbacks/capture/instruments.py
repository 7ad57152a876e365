"""Everything attached to a Trainer for the time of a fit, and taken off again."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor

from stabilimeter.callbacks.capture.block import Block
from stabilimeter.callbacks.capture.clip_tap import ClipNorms, ClipTap
from stabilimeter.callbacks.capture.micro_batches import MicroBatchLoss, without_loss_scale
from stabilimeter.callbacks.capture.own_cost import OwnCost, charged, not_charged
from stabilimeter.callbacks.capture.probe import Probe, Site
from stabilimeter.callbacks.capture.signal import Signal
from stabilimeter.callbacks.capture.track import Track
from stabilimeter.callbacks.capture.training_step_tap import TrainingStepTap
from stabilimeter.callbacks.clock import step_in_progress

_CLIP_IN_THE_PLUGIN = (Precision.clip_gradients, MixedPrecision.clip_gradients)
"""DeepSpeed's plugin, for one, leaves clipping to its engine."""


class Instruments:
    """One track per optimizer, fed by the Trainer's hooks, by the optimizers' own and by the clipping.

    Attributes:
        cost: What monitoring takes.
        clipping_brings_gradients: Lightning clips before every optimizer step, so `before_step` need not be called.

    Args:
        trainer: The Trainer, about to train.
        module: Its module.
        signals: What to measure, per optimizer.
        layers: Parameters of per-tensor vectors, per optimizer.
        stride: Measure strided signals at every so many steps of an optimizer.
        cost: What monitoring takes.
    """

    def __init__(
        self,
        trainer: Trainer,
        module: LightningModule,
        *,
        signals: Sequence[Sequence[Signal]],
        layers: Sequence[Sequence[Tensor]],
        stride: int,
        cost: OwnCost,
    ) -> None:
        self.cost = cost
        self._trainer = trainer
        self._automatic = module.automatic_optimization
        self._epoch = trainer.current_epoch
        self._micro_batches = MicroBatchLoss()
        own_way = is_overridden("configure_gradient_clipping", module)
        through_plugin = type(trainer.precision_plugin).clip_gradients in _CLIP_IN_THE_PLUGIN
        clips = self._automatic and bool(trainer.gradient_clip_val)
        self.clipping_brings_gradients = clips and through_plugin and not own_way
        tap = TrainingStepTap(module)
        self._tracks = {
            id(optimizer): Track(
                optimizer,
                measured,
                layers=parameters,
                stride=stride,
                clipping_follows=self.clipping_brings_gradients,
                strategy=trainer.strategy,
                world_size=trainer.world_size,
                cost=cost,
                probes=_probes(measured, Site(trainer, module, optimizer, parameters, tap)),
                on_step=partial(self._after_step, id(optimizer)),
                on_every_step=not self._automatic,
            )
            for optimizer, measured, parameters in zip(trainer.optimizers, signals, layers, strict=True)
        }
        self._clip_tap = ClipTap(trainer.precision_plugin, self._around_clipping)
        self._clip_tap.install()
        for track in self._tracks.values():
            track.prepare()

    def __len__(self) -> int:
        return max(map(len, self._tracks.values()), default=0)

    def begin_epoch(self) -> None:
        """The steps from now on belong to another epoch."""
        self._epoch = self._trainer.current_epoch

    def before_backward(self, loss: Tensor) -> None:
        """Manual optimization: the user has a loss. Those since the last optimizer step count as its micro-batches."""
        self._micro_batches.add(without_loss_scale(loss.detach(), self._trainer.precision_plugin).clone())

    def before_step(self, optimizer: Any) -> None:
        """Gradients are complete."""
        track = self._tracks.get(id(optimizer))
        if track is not None:
            track.before_step(step_in_progress(self._trainer))

    def end_batch(self, outputs: Any, batch_idx: int) -> None:
        """A batch is over; its optimizer steps, if any, are too."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else None
        if self._automatic and isinstance(loss, Tensor):
            self._micro_batches.add(loss, divided_by=self._trainer.accumulate_grad_batches)
        for track in self._tracks.values():
            if track.is_open:
                track.set_loss(self._micro_batches.take())
                if not self._automatic and not track.has_loss and isinstance(loss, Tensor):
                    track.set_loss(loss.detach().clone())  # the user called backward without Lightning
                track.end_step()
                track.end_batch(self._epoch, batch_idx)

    def pause(self) -> None:
        """Time spent until now belongs to no step."""
        for track in self._tracks.values():
            track.pause()

    def take(self, *, combine: bool) -> list[Block | None]:
        """What was measured since the last call, per optimizer; None where nothing was."""
        return [track.take(combine=combine) if len(track) else None for track in self._tracks.values()]

    def remove(self) -> None:
        """Leave optimizers and Trainer as they were found. A step that was done but not finished is kept."""
        self._clip_tap.remove()
        for track in self._tracks.values():
            track.leave_optimizer()
            if track.has_stepped(self._trainer.global_step):
                track.end_step()
                track.end_batch(self._epoch, -1)
        for track in reversed(self._tracks.values()):  # what was wrapped last is unwrapped first
            track.remove_probes()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed fit needs."""
        counts = [track.num_steps for track in self._tracks.values()]
        return {"num_steps": counts, "micro_batches": self._micro_batches.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        self._micro_batches.load_state_dict(state["micro_batches"])
        for track, count in zip(self._tracks.values(), state["num_steps"], strict=False):
            track.num_steps = count
            track.prepare()

    @charged
    def _after_step(self, optimizer_id: int) -> None:
        track = self._tracks[optimizer_id]
        if track.is_open:
            track.after_step()
            if not self._automatic:
                track.set_loss(self._micro_batches.take())

    @charged
    def _around_clipping(
        self, optimizer: Any, norms: ClipNorms | None, clip_val: float, clip: Callable[[], None]
    ) -> None:
        inner = optimizer.optimizer if isinstance(optimizer, LightningOptimizer) else optimizer
        track = self._tracks.get(id(inner))
        if track is None:
            not_charged(self.cost, clip)()
        else:
            clip = not_charged(self.cost, clip)
            track.around_clipping(step_in_progress(self._trainer), norms, clip_val, clip)


def _probes(signals: Sequence[Signal], site: Site) -> dict[Any, Probe]:
    """One probe of each kind that the signals need. If one refuses, the others are taken off again."""
    probes: dict[Any, Probe] = {}
    with ExitStack() as undo:
        for kind in dict.fromkeys(signal.probe for signal in signals):
            if kind is not None:
                probes[kind] = kind(site)
                undo.callback(probes[kind].remove)
        undo.pop_all()
    return probes
