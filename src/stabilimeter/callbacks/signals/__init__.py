"""Signals: one number (or one vector) per optimizer step, one file each."""

from stabilimeter.callbacks.capture.signal import AnySignal
from stabilimeter.callbacks.signals.clip_fraction import CLIP_FRACTION
from stabilimeter.callbacks.signals.clipped_gradient_norm import CLIPPED_GRADIENT_NORM
from stabilimeter.callbacks.signals.gradient_norm import GRADIENT_NORM
from stabilimeter.callbacks.signals.layer_gradient_norms import LAYER_GRADIENT_NORMS
from stabilimeter.callbacks.signals.learning_rate import LEARNING_RATE
from stabilimeter.callbacks.signals.loss import LOSS
from stabilimeter.callbacks.signals.loss_noise import LOSS_NOISE
from stabilimeter.callbacks.signals.loss_variance import LOSS_VARIANCE
from stabilimeter.callbacks.signals.monitor_time import MONITOR_TIME
from stabilimeter.callbacks.signals.step_time import STEP_TIME
from stabilimeter.callbacks.signals.update_norm import UPDATE_NORM
from stabilimeter.callbacks.signals.update_ratio import UPDATE_RATIO

DEFAULT_SIGNALS: tuple[AnySignal, ...] = (
    LOSS,
    LOSS_VARIANCE,
    LOSS_NOISE,
    GRADIENT_NORM,
    CLIPPED_GRADIENT_NORM,
    CLIP_FRACTION,
    LAYER_GRADIENT_NORMS,
    UPDATE_NORM,
    UPDATE_RATIO,
    LEARNING_RATE,
    STEP_TIME,
    MONITOR_TIME,
)
"""What a monitor measures unless told otherwise."""
