"""Summaries typed in by hand, for tests of what is made from them."""

from dataclasses import replace

import numpy as np
import pytest

from stabilimeter.analysis.summary import Band, GroupMetric, GroupSummary, RunMetric, RunSummary, Stability, Summary
from stabilimeter.stats.incident import Incident, Kind

LOST = {"failures": 0.0, "spikes": 3.1, "noise": 4.0, "regression": 3.2, "seed_spread": 1.5}


class Build:
    """Makes groups and summaries; keyword arguments replace what a plain healthy group has."""

    def metric(self, mean=0.9712, margin=0.004, n=5, mode="max", **changes):
        sd = None if n < 2 else 0.0032
        ci = None if n < 3 else (mean - margin, mean + margin)
        return replace(
            GroupMetric(mode, n, mean, sd, mean, mean, 0.004, mean - 0.005, mean + 0.004, ci, 0.95, "t"), **changes
        )

    def incident(self, kind=Kind.SPIKE, step=310, value=9.1, key="train/loss", **changes):
        return replace(Incident(kind, step, step, value, 2.0, 0.2, key), **changes)

    def run(self, seed=0, label="lr=0.1", **changes):
        run = RunSummary(
            path=f"{label}/seed={seed}",
            seed=seed,
            status="completed",
            failed=False,
            failure_reason=None,
            last_step=999,
            incidents=(),
            metrics={"val/accuracy": RunMetric(0.97, 0.98, 900, 10, 0)},
            scores={"spike_rate": 0.001, "noise": 0.03, "checkpoint_regression": 0.05, "quality": 0.59},
        )
        return replace(run, **changes)

    def stability(self, score=88.2, low=54.0, high=96.0, **changes):
        stability = Stability(score, low, high, (81.0, 93.0), 0.0, (0.0, 0.43), LOST, (), None)
        return replace(stability, **changes)

    def band(self, n_steps=20, n_seeds=5):
        steps = np.arange(n_steps, dtype=np.int64) * 50
        mean = 1 - np.exp(-np.arange(n_steps) / 5)
        low = mean - 0.05 if n_seeds >= 3 else np.full(n_steps, np.nan)
        high = mean + 0.05 if n_seeds >= 3 else np.full(n_steps, np.nan)
        return Band(steps, np.full(n_steps, n_seeds), mean, low, high, mean - 0.1, mean + 0.1, *[mean] * 4)

    def group(self, label="lr=0.1", n=5, **changes):
        group = GroupSummary(
            key=f"key-{label}",
            label=label,
            n_runs=n,
            n_failed=0,
            n_running=0,
            n_cancelled=0,
            runs=tuple(self.run(seed, label) for seed in range(n)),
            metrics={"val/accuracy": self.metric(n=n)},
            metrics_ok={"val/accuracy": self.metric(n=n)},
            stability=self.stability(),
            primary_metric="val/accuracy",
            bands={"val/accuracy": self.band(n_seeds=n), "train/loss": self.band(n_seeds=n)},
        )
        return replace(group, **changes)

    def failed(self, label="lr=1.0", n=3, n_failed=2, **changes):
        """A group in which the first ``n_failed`` seeds went to NaN."""
        runs = [self.run(seed, label) for seed in range(n)]
        for seed in range(n_failed):
            boom = self.incident(Kind.NONFINITE, step=412, value=float("nan"), end_step=999)
            runs[seed] = replace(
                runs[seed],
                status="diverged",
                failed=True,
                failure_reason="nonfinite: train/loss is NaN from step 412",
                incidents=(boom,),
            )
        rate = n_failed / n
        stability = self.stability(
            100 * (1 - rate) * 0.6,
            None if n - n_failed < 3 else 20.0,
            None if n - n_failed < 3 else 60.0,
            given_completion=None,
            failure_rate=rate,
            failure_ci=(0.2, 0.94),
            points_lost={**LOST, "failures": 70.0},
            reason="1 seed finished: an interval needs 3",
        )
        return self.group(
            label,
            n,
            **{
                "runs": tuple(runs),
                "n_failed": n_failed,
                "stability": stability,
                "metrics_ok": {"val/accuracy": self.metric(n=n - n_failed)},
                **changes,
            },
        )

    def summary(self, *groups, primary="val/accuracy", notes=()):
        return Summary(primary, groups or (self.group(),), tuple(notes))


@pytest.fixture
def build():
    return Build()
