"""What signals may look at during one optimizer step."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from torch import Tensor

from stabilimeter.callbacks.capture.gradients import Gradients, TensorNorms
from stabilimeter.callbacks.capture.probe import Probe, Site
from stabilimeter.callbacks.capture.update_sketch import UpdateSketch

P = TypeVar("P", bound=Probe)


class StepView:
    """One optimizer step in progress. Nothing here has been read back from the device.

    Attributes:
        step: Number of optimizer steps done before this one.
        learning_rate: Of the first parameter group, as used by this step; None if it has none.
        loss: Mean loss over the micro-batches of the step, not divided by their number; None if there was none.
        clipped_norm: Gradient norm after clipping, or norms of which it is the total; None if nothing clipped.
        step_s: Wall time of the step in seconds; None if not known.
        monitor_s: Of that, and of what lies between two steps, the time that went into monitoring.
    """

    def __init__(self, gradients: Gradients, sketch: UpdateSketch, probes: Mapping[Any, Probe]) -> None:
        self._gradients = gradients
        self._sketch = sketch
        self._probes = probes
        self.begin(-1, None)

    def begin(self, step: int, learning_rate: float | Tensor | None) -> None:
        """Forget the previous step."""
        self.step = step
        self.learning_rate = learning_rate
        self.loss: Tensor | None = None
        self.clipped_norm: Tensor | TensorNorms | None = None
        self.step_s: float | None = None
        self.monitor_s = 0.0
        self._norms: TensorNorms | None = None
        self._gradient_norm: Tensor | None = None

    @property
    def layer_gradient_norms(self) -> TensorNorms | None:
        """2-norm of each gradient; None if no parameter of this optimizer has one."""
        if self._norms is None:
            self._norms = self._gradients.norms()
        return self._norms

    @property
    def gradient_norm_in_parts(self) -> Tensor | TensorNorms | None:
        """The same as `gradient_norm`, or norms of which it is the total: that can wait until the flush."""
        return self.layer_gradient_norms if self._gradient_norm is None else self._gradient_norm

    @property
    def gradient_norm(self) -> Tensor | None:
        """2-norm of all gradients of this optimizer; None if no parameter has one."""
        if self._gradient_norm is None and self.layer_gradient_norms is not None:
            self._gradient_norm = self.layer_gradient_norms.total()
        return self._gradient_norm

    def probe(self, kind: Callable[[Site], P]) -> P:
        """What a signal has brought along as its ``probe``."""
        found: Any = self._probes[kind]
        return found  # type: ignore[no-any-return]

    def reuse_gradient_norms(self, total: Tensor, norms: TensorNorms | None) -> None:
        """Take norms that were computed anyway."""
        self._gradient_norm, self._norms = total, norms

    @property
    def update_norm(self) -> Tensor | None:
        """2-norm of the change of the parameters."""
        return self._sketch.update_norm

    @property
    def weight_norm(self) -> Tensor | None:
        """2-norm of the parameters before the step."""
        return self._sketch.weight_norm
