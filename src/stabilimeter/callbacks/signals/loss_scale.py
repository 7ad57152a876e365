"""Loss scale of 16-bit training, and the steps that it loses to overflow."""

import torch
from torch import Tensor

from stabilimeter.callbacks.capture.probe import Site
from stabilimeter.callbacks.capture.signal import Moment, Reduction, Signal
from stabilimeter.callbacks.capture.step_view import StepView
from stabilimeter.records import keys
from stabilimeter.records.manifest import SignalSpec


class LossScale:
    """The scale of the Trainer's `GradScaler`, read without waiting for the device."""

    def __init__(self, site: Site) -> None:
        scaler = getattr(site.trainer.precision_plugin, "scaler", None)
        self._scaler = scaler if scaler is not None and scaler.is_enabled() else None
        self._one = torch.ones((), device=site.trainer.strategy.root_device)
        self._before: Tensor | None = None

    def now(self) -> Tensor | None:
        """The scale; None without a scaler. ``GradScaler.get_scale`` would read the device."""
        scaled: Tensor | None = None if self._scaler is None else self._scaler.scale(self._one)
        return scaled

    def was_lowered(self) -> Tensor | None:
        """Whether the scale is lower than after the last step; None without a scaler."""
        now = self.now()
        return None if now is None or self._before is None else now < self._before

    def prepare(self, *, stride_index: int | None) -> None:
        """Remember the scale that the next step begins with."""
        self._before = self.now()

    def pause(self) -> None:
        """Nothing here depends on time."""

    def remove(self) -> None:
        """Nothing was attached."""


def loss_scale(view: StepView) -> Tensor | None:
    """Factor by which the loss of this step was multiplied, so that small gradients survive float16.

    Not recorded where the Trainer has no `GradScaler`. Source: Micikevicius et al. 2018, "Mixed precision training",
    section 3.2. Cost: one kernel on a single number per step.
    """
    return view.probe(LossScale).now()


def overflow(view: StepView) -> Tensor | None:
    """1 if the step was left out because its gradients overflowed, else 0.

    That is: the scaler has lowered its scale, and the gradients of this optimizer are not finite. With sharded
    parameters (untested) it is the share of the ranks whose part overflowed.
    """
    lowered, norm = view.probe(LossScale).was_lowered(), view.gradient_norm
    if lowered is None or norm is None:
        return None
    return (lowered & ~torch.isfinite(norm)).to(norm.dtype)


LOSS_SCALE = Signal(
    SignalSpec(keys.SCALER_SCALE, unit="", moment=Moment.GRADIENT, reduction=Reduction.RANK_ZERO, positive=True),
    measure=loss_scale,
    probe=LossScale,
)

OVERFLOW = Signal(
    SignalSpec(keys.SCALER_OVERFLOW, unit="", moment=Moment.STEP_END, reduction=Reduction.MEAN, positive=False),
    measure=overflow,
    probe=LossScale,
)
