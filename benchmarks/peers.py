"""The rules that others use to find incidents in a series, as functions of steps and values.

Values are oriented: lower is better. Each rule gives the spans ``(first step, last step)`` of its alarms. Packages that
can be installed are run for real (`real_rules`); the codings here stand in where they are not.
"""

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from lightning.fabric.utilities.spike import SpikeDetection, TrainingSpikeException

from stabilimeter.stats.spike_rate import olmo2_spikes, olmo_core_spikes

Span = tuple[float, float]
Values = np.ndarray
Rule = Callable[[np.ndarray, Values], list[Span]]
MAD_TO_SD = 1.4826


def flags(rule: Callable[[Values], np.ndarray], gap: int = 1) -> Rule:
    """A rule that flags single values; values flagged with at most ``gap`` steps between them are one alarm."""

    def spans(steps: np.ndarray, values: Values) -> list[Span]:
        flagged = np.flatnonzero(rule(values))
        runs = np.split(flagged, np.flatnonzero(np.diff(flagged) > gap) + 1) if flagged.size else []
        return [(float(steps[run[0]]), float(steps[run[-1]])) for run in runs]

    return spans


def median_mad(values: Values) -> np.ndarray:
    """Above the median of the last 128 values (from 16 on) by 7 robust SD, or not finite."""
    flagged = np.zeros(len(values), dtype=bool)
    for i in range(16, len(values)):
        window = values[max(0, i - 128) : i]
        window = window[np.isfinite(window)]
        if window.size >= 16:
            middle = np.median(window)
            flagged[i] = not values[i] <= middle + 7 * MAD_TO_SD * np.median(np.abs(window - middle))
    return flagged


def kill_loss_spike(values: Values) -> np.ndarray:
    """llm-foundry: more than 4 values in a row at twice the mean of the window or more, or half of it above 10.

    Window: 5 % of the run, at least 100; nothing before it is full. Source: ``kill_loss_spike_callback.py``.
    """
    window = max(100, len(values) // 20)
    flagged = np.zeros(len(values), dtype=bool)
    in_a_row = 0
    for i in range(window, len(values)):
        before = values[i - window : i]
        in_a_row = in_a_row + 1 if values[i] >= 2.0 * before.mean() else 0
        flagged[i] = in_a_row > 4 or (i >= 2 * window and np.mean(before > 10.0) >= 0.5)
    return flagged


def lightning_spike(values: Values) -> np.ndarray:
    """Lightning's ``SpikeDetection`` itself, at its defaults; where it raises, training is taken to go on."""
    strategy = SimpleNamespace(
        root_device=torch.device("cpu"), barrier=lambda: None, reduce_boolean_decision=lambda decision, **_: decision
    )
    fabric: Any = SimpleNamespace(strategy=strategy, global_rank=1)  # rank 0 would write a file
    detection = SpikeDetection()
    flagged = np.zeros(len(values), dtype=bool)
    for i, value in enumerate(values):
        try:
            detection.on_train_batch_end(fabric, torch.tensor(float(value), dtype=torch.float64), None, i)
        except TrainingSpikeException:
            flagged[i] = True
    return flagged


def cusum(values: Values, *, slack: float = 1.0, threshold: float = 10.0, window: int = 100) -> np.ndarray:
    """Page's cumulative sum of deviations from the mean of the last values, in their SD; non-finite is flagged."""
    flagged = np.zeros(len(values), dtype=bool)
    recent: list[float] = []
    total = 0.0
    for i, value in enumerate(values):
        if not np.isfinite(value):
            flagged[i] = True
            continue
        if len(recent) >= 30:
            total = max(0.0, total + (value - np.mean(recent)) / max(float(np.std(recent)), 1e-12) - slack)
            if total >= threshold:
                flagged[i], total = True, 0.0
        recent = [*recent[-window + 1 :], float(value)]
    return flagged


def trainscope_coding(values: Values) -> np.ndarray:
    """TrainScope 1.8.1 at its defaults: two-sided cumulative sum against median and MAD of the last 200 values."""
    flagged = ~np.isfinite(values)
    recent: list[float] = []
    up = down = 0.0
    for i, value in enumerate(values):
        if flagged[i]:
            continue
        if len(recent) >= 30:
            middle = np.median(recent)
            scale = max(MAD_TO_SD * float(np.median(np.abs(recent - middle))), 1e-12)
            z = (value - middle) / scale
            up, down = max(0.0, up + z - 1.0), min(0.0, down + z + 1.0)
            if up >= 6.0 or down <= -6.0:
                flagged[i], up, down = True, 0.0, 0.0
        recent = [*recent[-199:], float(value)]
    return flagged


def trainspotter_coding(values: Values) -> np.ndarray:
    """Trainspotter 0.2.6, its spike rule: 6 MAD-scores from the median of 21 values, the present one included."""
    z = np.zeros(len(values))
    with np.errstate(invalid="ignore"):
        for i, value in enumerate(values):
            window = values[max(0, i - 20) : i + 1]
            middle = np.median(window)
            z[i] = 0.6745 * (value - middle) / max(float(np.median(np.abs(window - middle))), 1e-12)
    return (np.abs(z) > 6.0) | ~np.isfinite(values)


def losslint_coding(values: Values) -> np.ndarray:
    """Losslint 0.4.1, its spike rule: above 10 times the median of the 24 finite values around, or not finite."""
    flagged = ~np.isfinite(values)
    places = np.flatnonzero(~flagged)
    finite = values[places]
    for at, place in enumerate(places):
        others = np.concatenate([finite[max(0, at - 12) : at], finite[at + 1 : at + 13]])
        middle = np.median(others) if others.size >= 5 else 0.0
        flagged[place] = middle > 0.0 and finite[at] > 10.0 * middle
    return flagged


CODED: dict[str, Rule] = {
    "OLMo-core": flags(olmo_core_spikes),
    "OLMo 2": flags(olmo2_spikes),
    "llm-foundry": flags(kill_loss_spike),
    "Lightning": flags(lightning_spike),
    "median-MAD": flags(median_mad),
    "CUSUM": flags(cusum, gap=20),
    "trainscope": flags(trainscope_coding),
    "losslint": flags(losslint_coding),
    "trainspotter": flags(trainspotter_coding, gap=2),
}
"""By the name of whose rule it is. Lightning's is the real class."""


def real_rules(python: Path, series: Sequence[tuple[np.ndarray, Values]]) -> dict[str, Rule]:
    """The rules of the packages that the environment of ``python`` has, on these series.

    Args:
        python: An interpreter with any of trainscope, losslint and trainspotter.
        series: All series that the rules will be asked about: steps and values.

    Raises:
        subprocess.CalledProcessError: If the interpreter fails.
    """
    plain = [{"steps": steps.tolist(), "values": values.tolist()} for steps, values in series]
    script = Path(__file__).with_name("peer_process.py")
    told = subprocess.run([python, script], input=json.dumps(plain), stdout=subprocess.PIPE, text=True, check=True)
    places = {fingerprint(*one): i for i, one in enumerate(series)}

    def rule(found: list[list[list[float]]]) -> Rule:
        return lambda steps, values: [(a, b) for a, b in found[places[fingerprint(steps, values)]]]

    return {name: rule(found) for name, found in json.loads(told.stdout).items()}


def fingerprint(steps: np.ndarray, values: Values) -> bytes:
    """What tells a series from every other."""
    return np.asarray(steps, dtype=np.float64).tobytes() + np.asarray(values, dtype=np.float64).tobytes()
