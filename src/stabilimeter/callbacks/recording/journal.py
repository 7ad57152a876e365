"""From measurements on the host to what is kept: derived signals, record, other loggers, incidents."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_warn
from numpy.typing import NDArray

from stabilimeter.callbacks.capture.block import Block
from stabilimeter.callbacks.capture.derived_columns import DerivedColumns
from stabilimeter.callbacks.capture.own_cost import OwnCost
from stabilimeter.callbacks.capture.signal import DerivedSignal
from stabilimeter.callbacks.recording.circumstances import Circumstances
from stabilimeter.callbacks.recording.logger_blocks import write_to_loggers
from stabilimeter.callbacks.recording.onlookers import Onlookers
from stabilimeter.callbacks.recording.step_evidence import StepEvidence
from stabilimeter.callbacks.recording.watch import Watch
from stabilimeter.records import keys
from stabilimeter.records.manifest import RunStatus
from stabilimeter.records.writer import RunWriter
from stabilimeter.stats.detection import SETTLING_POINTS
from stabilimeter.stats.incident import Incident, Kind


class Journal:
    """What rank 0 does with each flush.

    Args:
        writer: The record; None to keep nothing (``fast_dev_run``).
        loggers: The Trainer's loggers.
        derived: Signals to derive, per optimizer.
        evidence: What is known about the rows, per optimizer.
        watched: Series to look for incidents in: key -> whether its logarithm is judged.
        companions: Series -> the one that is looked at beside it: loss -> gradient norm of the same optimizer.
        onlookers: Series of which an incident mentions what had happened to them.
        monitor: The monitored metric.
        mode: Its mode, ``"min"`` or ``"max"``.
    """

    def __init__(
        self,
        writer: RunWriter | None,
        loggers: Sequence[Logger],
        *,
        derived: Sequence[Sequence[DerivedSignal]],
        evidence: Sequence[StepEvidence],
        watched: Mapping[str, bool],
        companions: Mapping[str, str],
        onlookers: Onlookers,
        monitor: str | None,
        mode: str | None,
    ) -> None:
        self._writer = writer
        self._loggers = loggers
        self._signals = derived
        self._derived = [DerivedColumns(signals) for signals in derived]
        self._evidence = evidence
        self._watched = watched
        self._companions = companions
        self._onlookers = onlookers
        self._monitor = monitor
        self._mode = mode
        self._watch = Watch()
        self._circumstances = Circumstances()
        self._last: dict[str, tuple[int, float]] = {}
        self._has_warned = False

    def enter_block(self, optimizer_index: int, block: Block) -> Block:
        """Keep the steps of one optimizer since its last flush; returns them with the derived signals."""
        block = self._with_derived(optimizer_index, block)
        if self._writer is not None:
            self._writer.write_block(block.keys, block.steps, block.values, block.wall_times, block.measured)
            for key, vectors in block.vectors.items():
                times = block.wall_times[np.searchsorted(block.steps, vectors.steps)]
                for row in np.flatnonzero(vectors.on_stride):
                    self._writer.write_vector(key, int(vectors.steps[row]), vectors.values[row], float(times[row]))
        write_to_loggers(self._loggers, block)
        over: list[tuple[str, list[Incident]]] = []
        for column, key in enumerate(block.keys):
            is_rate = key.split("/optimizer_")[0] == keys.OPTIM_LR
            rows = np.flatnonzero(block.measured[:, column])
            if not len(rows) or not (is_rate or key in self._watched):
                continue
            steps, values = block.steps[rows].tolist(), block.values[rows, column].tolist()
            if is_rate:
                self._circumstances.extend_rates(key, steps, values)
                continue
            self._last[key] = (steps[-1], values[-1])
            evidence = partial(self._evidence_of_row, optimizer_index, block, rows)
            beside = _at(rows, block, self._companions.get(key))
            ended = self._watch.extend(key, steps, values, evidence, positive=self._watched[key], beside=beside)
            over.append((key, ended))
            for incident in (*over[-1][1], self._watch.going_on(key)):
                if incident is not None:
                    self._circumstances.note(incident)
        for incident in self._onlookers.extend(block):
            self._circumstances.note(incident)
        for key, incidents in over:
            self._report(incidents, key)
        return block

    def enter_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Keep the user's metrics of one evaluation."""
        if not metrics:
            return
        if self._writer is not None:
            self._writer.write_scalars(step, metrics)
        for key, value in metrics.items():
            mode = self._mode if key == self._monitor else "min" if "loss" in key.lower() else None
            if mode is not None:
                self._last[key] = (step, value)
            self._report(self._watch.extend(key, [step], [value], lambda _: {}, mode=mode))

    def enter_note(self, step: int, scalars: Mapping[str, float], text: str | None, tag: str) -> None:
        """Keep what another callback has found, as scalars and as a text under ``tag``."""
        if self._writer is not None:
            self._writer.write_scalars(step, scalars)
            if text is not None:
                self._writer.write_text(tag, step, text)
        for logger in self._loggers:
            logger.log_metrics(dict(scalars), step)

    def flush(self) -> None:
        """Hand what was entered to the operating system."""
        if self._writer is not None:
            self._writer.flush()

    def heartbeat(self) -> None:
        """Show that the run is alive, between two flushes."""
        if self._writer is not None:
            self._writer.heartbeat()

    def close(self, status: RunStatus, reason: str | None, last_step: int | None, cost: OwnCost) -> None:
        """The run is over: so are the incidents still open."""
        self._report(self._watch.finish())
        if self._writer is not None:
            self._writer.close(status, reason, last_step, cost.summary(self._writer.bytes_written))

    def nonfinite_at_end(self) -> str | None:
        """Which watched series, if any, is not finite at its last value, in words."""
        for key, (step, value) in self._last.items():
            if not math.isfinite(value):
                return f"{key} is {value} at step {step}"
        return None

    def state_dict(self) -> dict[str, Any]:
        """What a resumed fit needs."""
        return {
            "derived": [columns.state_dict() for columns in self._derived],
            "watch": self._watch.state_dict(),
            "onlookers": self._onlookers.state_dict(),
            "circumstances": self._circumstances.state_dict(),
            "last": self._last,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        for columns, past in zip(self._derived, state["derived"], strict=False):
            columns.load_state_dict(past)
        self._watch.load_state_dict(state["watch"])
        self._onlookers.load_state_dict(state["onlookers"])
        self._circumstances.load_state_dict(state["circumstances"])
        self._last = dict(state["last"])

    def _with_derived(self, optimizer_index: int, block: Block) -> Block:
        measured = np.where(block.measured, block.values, math.nan)
        columns = {key: measured[:, i] for i, key in enumerate(block.keys)}
        signals = self._signals[optimizer_index]
        derived = self._derived[optimizer_index].extend(columns)
        if not signals:
            return block
        values = np.stack(derived, axis=1)
        return replace(
            block,
            keys=block.keys + [signal.spec.key for signal in signals],
            values=np.concatenate([block.values, values], axis=1),
            measured=np.concatenate([block.measured, ~np.isnan(values)], axis=1),
        )

    def _evidence_of_row(self, optimizer_index: int, block: Block, rows: NDArray[np.intp], i: int) -> Mapping[str, Any]:
        return self._evidence[optimizer_index].at(block, int(rows[i]))

    def _report(self, incidents: Sequence[Incident], key: str | None = None) -> None:
        """Record the incidents that are over, and warn once: at the first that is bad, over or still going on."""
        for incident in incidents:
            if self._writer is not None:
                evidence = {**incident.evidence, **self._circumstances.of(incident)}
                self._writer.write_incident(replace(incident, evidence=evidence))
        if self._has_warned:
            return
        nonfinite = self._watch.first_nonfinite
        going_on = None if key is None else self._watch.going_on(key)
        diverged = next((incident for incident in (*incidents, going_on) if self._diverges(incident)), None)
        if nonfinite is not None:
            self._warn(f"{nonfinite[0]} is not finite from step {nonfinite[1]} on")
        elif diverged is not None:
            self._warn(
                f"{diverged.key} diverges from step {diverged.step} on: "
                f"{diverged.value:.4g} where {diverged.baseline:.4g} is expected"
            )

    def _warn(self, what: str) -> None:
        self._has_warned = True
        where = "" if self._writer is None else f"; incidents are recorded in {self._writer.path}"
        rank_zero_warn(f"StabilityMonitor: {what}{where}.", category=UserWarning)

    def _diverges(self, incident: Incident | None) -> bool:
        """Whether a signal diverges for good, or for long enough; an evaluation that worsens may be overfitting."""
        if incident is None or incident.kind is not Kind.DIVERGENCE or incident.key not in self._watched:
            return False
        return "slow" in incident.evidence or incident.evidence["points"] >= SETTLING_POINTS


def _at(rows: NDArray[np.intp], block: Block, key: str | None) -> list[float | None] | None:
    """The values of a series in these rows, None where it was not measured; None if the block has no such series."""
    if key not in block.keys:
        return None
    column = block.keys.index(key)
    measured, values = block.measured[rows, column].tolist(), block.values[rows, column].tolist()
    return [value if known else None for known, value in zip(measured, values, strict=True)]
