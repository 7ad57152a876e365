"""One optimizer, followed through its steps: measures every signal at its moment, into a buffer on the device."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stabilimeter.callbacks.capture.block import Block, Vectors
from stabilimeter.callbacks.capture.buffer import Buffer
from stabilimeter.callbacks.capture.clip_tap import ClipNorms
from stabilimeter.callbacks.capture.gradients import HALF_PRECISION, Gradients, TensorNorms
from stabilimeter.callbacks.capture.measuring_plan import Measurements, MeasuringPlan
from stabilimeter.callbacks.capture.own_cost import OwnCost
from stabilimeter.callbacks.capture.probe import Probe
from stabilimeter.callbacks.capture.sharding import holders, is_sharded
from stabilimeter.callbacks.capture.signal import Measured, Signal
from stabilimeter.callbacks.capture.step_view import StepView
from stabilimeter.callbacks.capture.update_sketch import UpdateSketch
from stabilimeter.callbacks.clock import Stopwatch


class Track:
    """The steps of one optimizer.

    Attributes:
        num_steps: Number of its steps that are over, since the beginning of the run.

    Args:
        optimizer: The optimizer.
        signals: What to measure.
        layers: Parameters of per-tensor vectors, in the order of their names.
        stride: Measure strided signals at every so many steps of this optimizer, from its first on.
        clipping_follows: Clipping comes after ``on_before_optimizer_step``; the gradients are measured there, together.
        strategy: The Trainer's strategy.
        world_size: Number of ranks.
        cost: What monitoring takes.
        probes: What signals have brought along, by kind.
        on_step: What the optimizer's own hook calls right after a step.
        on_every_step: At every step, not only where there is something to measure right after it.
    """

    def __init__(
        self,
        optimizer: Any,
        signals: Sequence[Signal],
        *,
        layers: Sequence[Tensor],
        stride: int,
        clipping_follows: bool,
        strategy: Any,
        world_size: int,
        cost: OwnCost,
        probes: Mapping[Any, Probe],
        on_step: Callable[[], None],
        on_every_step: bool,
    ) -> None:
        self._optimizer = optimizer
        self._plan = MeasuringPlan(signals)
        self._now = self._plan.on_stride
        self._layers = layers
        self._stride = stride
        self._clipping_follows = clipping_follows
        self._strategy = strategy
        self._world_size = world_size
        self._cost = cost
        self._probes = dict(probes)
        self._on_step = on_step
        self._on_every_step = on_every_step
        self._handle: Any = None
        self._look_at_parameters()
        self._device = self._parameters[0].device if self._parameters else torch.device("cpu")
        sharded = is_sharded(self._parameters, strategy)
        self._buffer = Buffer(
            self._plan.reductions,
            self._plan.vector_reductions,
            {number: len(layers) for number in self._plan.per_layer},
            device=self._device,
            world_size=world_size,
            sharded=sharded,
        )
        self._row: list[Measured] = []
        self._row_vectors: list[tuple[int, Tensor | TensorNorms]] = []
        self._is_open = self._has_gradients = self._has_stepped = self._is_on_stride = False
        self.num_steps = 0
        self._stopwatch = Stopwatch()
        self._forget_rows()

    def __len__(self) -> int:
        return len(self._buffer)

    @property
    def is_open(self) -> bool:
        """Whether a step has begun and is not over."""
        return self._is_open

    def has_stepped(self, steps_done: int) -> bool:
        """Whether a step has begun, and the parameters have been updated, now that so many steps are done."""
        return self._is_open and (self._has_stepped or self._view.step < steps_done)

    @property
    def has_loss(self) -> bool:
        """Whether the loss of the open step is known."""
        return self._is_open and self._view.loss is not None

    def before_step(self, step: int) -> None:
        """Gradients are complete. A closure may get here several times in one step: the first counts."""
        if self._is_open and self._view.step == step:
            return
        self._begin(step)
        if not self._clipping_follows:
            self._measure_gradients()

    def around_clipping(self, step: int, norms: ClipNorms | None, clip_val: float, clip: Callable[[], None]) -> None:
        """Gradients are about to be clipped by ``clip``, with ``norms`` if those are known already."""
        if not (self._is_open and self._view.step == step):
            self._begin(step)  # manual optimization clips before it steps
        reusable = norms is not None and not self._sharded and norms.total.dtype not in HALF_PRECISION
        if not self._has_gradients:
            if norms is not None and reusable:
                each = None if norms.each is None else self._gradients.known(norms.parameters, norms.each)
                self._view.reuse_gradient_norms(norms.total, each)
            self._measure_gradients()
        clip()
        with torch.no_grad():
            if norms is not None and reusable:
                self._view.clipped_norm = norms.total * (clip_val / (norms.total + 1e-6)).clamp(max=1.0)
            else:
                self._view.clipped_norm = self._gradients.norms()
            self._measure(self._now.clipped)

    def after_step(self) -> None:
        """The parameters have been updated."""
        if not self._is_open:
            return
        if not self._has_gradients:
            self._measure_gradients()
        if self._now.update.scalars:
            self._sketch.after_step()
            self._measure(self._now.update)
        self._has_stepped = True

    def set_loss(self, loss: Tensor | None) -> None:
        """The loss of the open step is known; without one, what was known before stays."""
        if loss is not None:
            self._view.loss = loss

    def end_step(self) -> None:
        """The step is over, also one that a gradient scaler has skipped."""
        if not self._is_open:
            return
        if not self._has_stepped:
            self.after_step()
        self._view.step_s = self._stopwatch.lap()
        self._view.monitor_s = self._cost.lap()
        self._measure(self._now.step_end)
        self._buffer.add(self._row, self._row_vectors)
        self._steps.append(self._view.step)
        self._on_stride.append(self._is_on_stride)
        self._wall_times.append(time.time())
        self._is_open = False
        self.num_steps += 1
        self.prepare()

    def end_batch(self, epoch: int, batch_idx: int) -> None:
        """All steps since the last call belong to this batch."""
        new = len(self._steps) - len(self._batches)
        self._batches += [batch_idx] * new
        self._epochs += [epoch] * new

    def pause(self) -> None:
        """Time spent until now belongs to no step."""
        self._stopwatch.restart()
        for probe in self._probes.values():
            probe.pause()

    def prepare(self) -> None:
        """Tell the probes what comes next, and stand behind the optimizer if there is something to measure."""
        index, rest = divmod(self.num_steps, self._stride)
        self._is_on_stride = not rest
        self._now = self._plan.off_stride if rest else self._plan.on_stride
        for probe in self._probes.values():
            probe.prepare(stride_index=None if rest else index)
        if not (self._on_every_step or self._now.update.scalars):
            self.leave_optimizer()
        elif self._handle is None and hasattr(self._optimizer, "register_step_post_hook"):
            self._handle = self._optimizer.register_step_post_hook(lambda *_: self._on_step())

    def leave_optimizer(self) -> None:
        """Take the hook off the optimizer, if there is one."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def remove_probes(self) -> None:
        """Detach the probes."""
        for probe in self._probes.values():
            probe.remove()

    def take(self, *, combine: bool) -> Block:
        """Empty the buffer; see `Buffer.take`."""
        taken = self._buffer.take(combine=combine)
        self._cost.host_reads += 2 if combine and self._world_size > 1 else 1
        keys = self._plan.keys
        steps, on_stride = np.array(self._steps, dtype=np.int64), np.array(self._on_stride, dtype=bool)
        block = Block(
            keys=list(keys),
            steps=steps,
            values=self._plan.signal_values(taken.values),
            measured=taken.measured[:, : len(keys)],
            wall_times=np.array(self._wall_times),
            batches=self._batches,
            epochs=self._epochs,
            vectors={
                self._plan.vector_keys[number]: Vectors(steps[rows], on_stride[rows], values)
                for number, (rows, values) in taken.vectors.items()
            },
        )
        self._forget_rows()
        return block

    def _begin(self, step: int) -> None:
        if self._is_open:
            self.end_step()
        groups = self._optimizer.param_groups
        if len(groups) != self._num_groups:  # finetuning adds groups during training
            self._look_at_parameters()
        self._row, self._row_vectors = [None] * len(self._plan.reductions), []
        self._is_open, self._has_gradients, self._has_stepped = True, False, False
        self._view.begin(step, groups[0].get("lr") if groups else None)
        if self._now.update.scalars:
            self._sketch.before_step()

    def _measure_gradients(self) -> None:
        self._has_gradients = True
        with torch.no_grad():  # gradients made with create_graph would keep their graphs until the flush
            self._measure(self._now.gradient)

    def _measure(self, wanted: Measurements) -> None:
        for column, measure in wanted.scalars:
            self._row[column] = measure(self._view)
        for number, measure in wanted.vectors:
            vector = measure(self._view)
            if vector is not None:
                self._row_vectors.append((number, vector))

    def _look_at_parameters(self) -> None:
        groups = self._optimizer.param_groups
        self._num_groups = len(groups)
        self._parameters: list[Tensor] = list(dict.fromkeys(p for group in groups for p in group["params"]))
        self._sharded = is_sharded(self._parameters, self._strategy)
        count = holders(self._parameters, self._world_size, self._strategy)
        self._gradients = Gradients(self._parameters, count, self._layers)
        self._sketch = UpdateSketch(self._parameters, count)
        self._view = StepView(self._gradients, self._sketch, self._probes)

    def _forget_rows(self) -> None:
        self._steps: list[int] = []
        self._wall_times: list[float] = []
        self._batches: list[int] = []
        self._epochs: list[int] = []
        self._on_stride: list[bool] = []
