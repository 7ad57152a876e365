"""Signals by name, so that a configuration file can choose them."""

from collections.abc import Mapping, Sequence

from stabilimeter.callbacks.capture.signal import AnySignal
from stabilimeter.callbacks.signals import DEFAULT_SIGNALS
from stabilimeter.callbacks.signals.activations import (
    DEAD_FRACTION_MAX,
    KURTOSIS_MAX,
    MODULE_DEAD_FRACTION,
    MODULE_KURTOSIS,
    MODULE_RMS,
    RMS_MAX,
)
from stabilimeter.callbacks.signals.adam_rms import ADAM_LAYER_RMS, ADAM_RMS_MAX
from stabilimeter.callbacks.signals.attention_logits import ATTENTION_LOGIT_MAX
from stabilimeter.callbacks.signals.data_wait import DATA_WAIT
from stabilimeter.callbacks.signals.hessian import HESSIAN_MAX, HESSIAN_PRECONDITIONED_MAX
from stabilimeter.callbacks.signals.loss_scale import LOSS_SCALE, OVERFLOW
from stabilimeter.callbacks.signals.loss_spread import LOSS_VARIANCE_OVER_MICRO_BATCHES, LOSS_VARIANCE_OVER_RANKS
from stabilimeter.callbacks.signals.noise_scale import GRADIENT_SQUARE, NOISE_SCALE, NOISE_TRACE
from stabilimeter.callbacks.signals.overflow_count import OVERFLOW_COUNT

CATALOGUE: Mapping[str, tuple[AnySignal, ...]] = {
    "default": DEFAULT_SIGNALS,
    "loss_spread": (LOSS_VARIANCE_OVER_MICRO_BATCHES, LOSS_VARIANCE_OVER_RANKS),
    "loss_scale": (LOSS_SCALE, OVERFLOW, OVERFLOW_COUNT),
    "data_wait": (DATA_WAIT,),
    "adam_rms": (ADAM_RMS_MAX, ADAM_LAYER_RMS),
    "noise_scale": (GRADIENT_SQUARE, NOISE_TRACE, NOISE_SCALE),
    "activations": (RMS_MAX, KURTOSIS_MAX, DEAD_FRACTION_MAX, MODULE_RMS, MODULE_KURTOSIS, MODULE_DEAD_FRACTION),
    "attention_logits": (ATTENTION_LOGIT_MAX,),
    "hessian": (HESSIAN_MAX,),
    "hessian_preconditioned": (HESSIAN_PRECONDITIONED_MAX,),
}
"""What may be asked for by name; only ``default`` is measured unasked."""


def chosen_signals(choice: Sequence[AnySignal | str] | None) -> tuple[AnySignal, ...]:
    """The signals that ``choice`` stands for, in its order: names of the `CATALOGUE`, signals, or both.

    Raises:
        ValueError: If a name is not in the catalogue.
    """
    if choice is None:
        return DEFAULT_SIGNALS
    if isinstance(choice, str):
        raise ValueError(f"signals must be a list, got {choice!r}: write [{choice}]")
    chosen: list[AnySignal] = []
    for item in choice:
        if not isinstance(item, str):
            chosen.append(item)
        elif item in CATALOGUE:
            chosen += CATALOGUE[item]
        else:
            raise ValueError(f"no signal is called {item!r}; choose from {', '.join(CATALOGUE)}")
    return tuple(chosen)
