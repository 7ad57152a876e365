"""Runs made in memory: what the readers would return, without files."""

from pathlib import Path

import numpy as np
import pytest

from stabilimeter.records.events.log import Points
from stabilimeter.records.manifest import Manifest, RunStatus
from stabilimeter.records.run import Run
from stabilimeter.records.sweep import RunGroup, Sweep

ROOT = Path("sweep")


class Build:
    """Makes runs, groups and sweeps; everything has a healthy default."""

    n_steps = 1000
    eval_every = 50

    def points(self, values, steps=None):
        values = np.asarray(values, dtype=np.float64)
        steps = np.arange(values.size) if steps is None else np.asarray(steps)
        return Points(steps.astype(np.int64), values)

    def loss(self, seed=0, sd=0.02, floor=0.5):
        rng = np.random.default_rng(seed)
        return floor + 2 * np.exp(-np.arange(self.n_steps) / 100) + rng.normal(scale=sd, size=self.n_steps)

    def val_loss(self, seed=0, sd=0.005, floor=0.6):
        rng = np.random.default_rng(1000 + seed)
        steps = np.arange(0, self.n_steps, self.eval_every)
        values = floor + 2 * np.exp(-steps / 100) + rng.normal(scale=sd, size=steps.size)
        return self.points(values, steps)

    def log(self, series, seed=0, notes=()):
        """A log that nobody instrumented, with these series."""
        return self._run(seed, None, RunStatus.UNKNOWN, (), notes, series)

    def foreign(self, seed=0, notes=(), **series):
        """The same with ``loss`` at each step and ``val_loss`` now and then; None leaves one out."""
        default = {"loss": self.points(self.loss(seed)), "val_loss": self.val_loss(seed)}
        return self.log({**default, **series}, seed, notes)

    def ours(self, seed=0, status=RunStatus.COMPLETED, incidents=(), manifest=None, **series):
        """A run of our own monitor; ``manifest`` replaces fields of a manifest of 1,000 planned steps."""
        fields = {
            "seed": seed,
            "planned_steps": self.n_steps,
            "monitor": "val/loss",
            "mode": "min",
            "last_step": self.n_steps - 1,
            "status": status,
        }
        default = {"train/loss": self.points(self.loss(seed)), "val/loss": self.val_loss(seed)}
        return self._run(seed, Manifest(**{**fields, **(manifest or {})}), status, incidents, (), {**default, **series})

    def group(self, runs, label="base"):
        return RunGroup(label, label, tuple(runs))

    def sweep(self, *groups, notes=()):
        return Sweep(ROOT, tuple(groups), tuple(notes))

    def _run(self, seed, manifest, status, incidents, notes, series):
        label = f"seed={seed}"
        logged = {key: points for key, points in sorted(series.items()) if points is not None}
        return Run(
            ROOT / "base" / label, label, seed, manifest, status, tuple(notes), tuple(incidents), _scalars=logged
        )


@pytest.fixture
def build():
    return Build()
