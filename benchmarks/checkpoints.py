"""How often a checkpoint is called worse than the best so far: when nothing has changed, and when it is.

python benchmarks/checkpoints.py [--runs 1000]      about two minutes for 200 runs

Runs are simulated evaluation by evaluation and judged as `CheckpointRegression` does. Per row: the share of evaluations
called worse though nothing has changed (against the best before and against the one before; at most 0.05 is promised),
and the share of runs in which a last evaluation that is worse is called so. Beside it: a point difference (worse than
the best seen, as a reader of a curve might say) and the same test without the correction for the best being the
luckiest.
"""

import argparse
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stabilimeter.callbacks.checkpoints.judge import EvaluationJudge
from stabilimeter.callbacks.checkpoints.outcomes import Outcomes
from stabilimeter.stats.checkpoint_verdict import ALPHA, Comparison, Rule, Verdict
from stabilimeter.stats.evaluation_noise import seed_noise

Values = NDArray[np.float64]
Pair = tuple[Comparison | None, Comparison | None]
"""An evaluation against the best before it, and against the one just before."""

EVALUATIONS = 20
SKIPPED = 6
"""Evaluations at the start that are not counted, as there the noise of a series is not known yet."""


def gaussian(rng: np.random.Generator, shape: tuple[int, int]) -> Values:
    """Independent noise."""
    return rng.normal(size=shape)


def student(rng: np.random.Generator, shape: tuple[int, int]) -> Values:
    """Independent noise with heavy tails."""
    return rng.standard_t(3, size=shape)


def autoregressive(rng: np.random.Generator, shape: tuple[int, int]) -> Values:
    """Noise with memory: 0.5 from one evaluation to the next."""
    values = rng.normal(size=shape)
    for k in range(1, shape[1]):
        values[:, k] = 0.5 * values[:, k - 1] + np.sqrt(0.75) * values[:, k]
    return values


def falling(rng: np.random.Generator, shape: tuple[int, int]) -> Values:
    """A loss that comes down by 30 standard deviations of its noise, then stays."""
    return rng.normal(size=shape) + 30 * np.exp(-np.arange(shape[1]) / 3)


def by_metric(noise: Callable[..., Values], rng: np.random.Generator, drop: float, siblings: int) -> list[Pair]:
    """One run of which only the metric is known; ``drop`` in standard deviations."""
    runs = noise(rng, (1 + siblings, EVALUATIONS))
    own = runs[0]
    own[-1] += drop
    judge = EvaluationJudge(Rule("min"))
    found = []
    for step, value in enumerate(own):
        judged = judge.judged(step, float(value), None, seed_noise(runs[1:], step) if siblings else None)
        found.append((judged.against_best, judged.against_previous))
    return found


def by_examples(rng: np.random.Generator, drop: float, num_examples: int, wobble: float, losses: bool) -> list[Pair]:
    """One run whose examples are known.

    Args:
        rng: Source of the outcomes.
        drop: Share of examples lost by the last evaluation (or rise of each loss, in units of its scatter).
        num_examples: Examples.
        wobble: Share of examples whose outcome is redrawn at each evaluation.
        losses: Whether losses are judged instead of correctness.
    """
    difficulty = rng.beta(9, 1, num_examples)
    outcomes = rng.random(num_examples) < difficulty
    loss = rng.exponential(size=num_examples)
    judge = EvaluationJudge(Rule("min" if losses else "max"))
    keys = np.arange(num_examples)
    found = []
    for step in range(EVALUATIONS):
        redrawn = rng.random(num_examples) < wobble
        outcomes = np.where(redrawn, rng.random(num_examples) < difficulty, outcomes)
        present, own = outcomes.copy(), loss * np.exp(wobble * rng.normal(size=num_examples))
        if step == EVALUATIONS - 1:
            present &= rng.random(num_examples) >= drop
            own = own * (1 + drop)
        values = {"loss": own.astype(np.float32)} if losses else {"correct": present}
        metric = float(own.mean() if losses else present.mean())
        judged = judge.judged(step, metric, Outcomes(keys, values))
        found.append((judged.against_best, judged.against_previous))
    return found


def is_worse(comparison: Comparison | None) -> bool:
    """Whether it was called worse."""
    return comparison is not None and comparison.verdict is Verdict.WORSE


def row(name: str, mode: str, one_run: Callable[[float], list[Pair]], drop: float, runs: int) -> None:
    """Print the shares of one scenario."""
    best, previous, point, uncorrected, found = [], [], [], [], []
    for _ in range(runs):
        for k, (against_best, against_previous) in enumerate(one_run(0.0)[SKIPPED:], start=SKIPPED):
            best.append(is_worse(against_best))
            previous.append(is_worse(against_previous))
            if against_best is not None:
                lower = -against_best.difference if mode == "max" else against_best.difference
                point.append(lower > 0)
                uncorrected.append(lower > 0 and against_best.p / k < ALPHA)
        found.append(is_worse(one_run(drop)[-1][0]))
    shares = [float(np.mean(column)) for column in (point, uncorrected, best, previous, found)]
    print(f"{name:<50}" + "".join(f"{share:>13.3f}" for share in shares), flush=True)


def main() -> None:
    """Print one row per scenario."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    runs = parser.parse_args().runs
    rng = np.random.default_rng(0)
    print(f"{EVALUATIONS} evaluations, {runs} runs; share called worse")
    heads = ("point", "uncorrected", "vs best", "vs previous", "found")
    print(f"{'':<50}" + "".join(f"{head:>13}" for head in heads))
    for n, wobble in ((360, 0.02), (360, 0.3), (5000, 0.02), (5000, 0.3)):
        row(
            f"correct, {n} examples, {wobble:.0%} redrawn; 5 % lost", "max",
            lambda drop, n=n, wobble=wobble: by_examples(rng, drop, n, wobble, False), 0.05, runs,
        )  # fmt: skip
    for n in (30, 360, 5000):
        row(
            f"loss, {n} examples; 10 % higher", "min", lambda drop, n=n: by_examples(rng, drop, n, 0.2, True), 0.1, runs
        )
    for siblings in (0, 4):
        for noise in (gaussian, student, autoregressive, falling):
            name = f"metric, {noise.__name__}, {siblings or 'no'} siblings; 5 sd worse"
            row(name, "min", lambda drop, noise=noise, s=siblings: by_metric(noise, rng, drop, s), 5.0, runs)


if __name__ == "__main__":
    main()
