"""How early runs that go wrong by themselves are noticed, from the loss alone and from several signals.

    python benchmarks/organic.py FOLDER                   trains 74 small runs: 4 minutes on one core; then half of one
    python benchmarks/organic.py FOLDER --held-out        144 others, other seeds: nothing was developed on these
    python benchmarks/organic.py FOLDER --peers PYTHON    of an environment with trainscope, losslint and trainspotter

FOLDER keeps the runs: what is finished is not trained again. `organic_runs` says what is trained, `organic_onset` when
a run went wrong, from the future of its loss; runs of healthy families are healthy whatever their loss did.

An onset is found if an alarm comes within 50 steps of it, before or after. ``chance`` beside it is the share found when
the alarms of each run are moved around the run in a circle, over all such moves: a rule that alarms all the time finds
every onset by chance. ``delay`` is that of the first alarm found; in brackets against the step where the smoothed loss
has left the whole margin, and anybody sees it. False alarms are counted per 1000 steps of healthy
runs, of noisy healthy runs, and of unstable runs until 50 steps before their onset. Alarms of rules that need the whole
log (losslint, trainspotter) are those of somebody who looks at the end.
"""

import argparse
import itertools
import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from organic_onset import Course, Onset, onset, running_median
from organic_runs import HEALTHY, NOISY, organic_runs
from peers import CODED, Rule, real_rules
from stabilimeter.records import keys
from stabilimeter.records.run import Run
from stabilimeter.stats import detection

NEAR = 50
WATCHED = ("loss", "gradient norm", "update / rate", "Adam's RMS")


@dataclass(frozen=True)
class Trial:
    """One run, and the steps at which each rule alarmed first.

    Attributes:
        family: Its family.
        seed: Its seed.
        loss: Training loss at each step.
        onset: When it went wrong.
        alarms: Steps by name of the rule or signal.
    """

    family: str
    seed: int
    loss: np.ndarray
    onset: Onset
    alarms: dict[str, np.ndarray]

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is wrong with the family."""
        return self.family.startswith((HEALTHY, NOISY))


def noticed(
    values: np.ndarray, alarm_rate: float = detection.ALARM_RATE, beside: np.ndarray | None = None
) -> np.ndarray:
    """Steps at which our rule, seeing one value at a time, begins to say that something is going on."""
    state, steps, before = detection.start(alarm_rate=alarm_rate), [], False
    others = itertools.repeat(None) if beside is None else beside.tolist()
    for step, (value, other) in enumerate(zip(values.tolist(), others, strict=False)):
        state, _ = detection.step(state, step, value, other)
        now = state.flagged or detection.finish(state) is not None
        if now and not before:
            steps.append(step)
        before = now
    return np.array(steps, dtype=int)


def signals(run: Run) -> Mapping[str, np.ndarray]:
    """The signals that may tell: those other than the loss by their logarithms, so that growth is bad."""
    found = {"loss": run[keys.LOSS].values}
    with np.errstate(divide="ignore", invalid="ignore"):
        found["gradient norm"] = np.log(run[keys.GRAD_NORM].values)
        found["update / rate"] = np.log(run[keys.UPDATE_NORM].values / run[keys.OPTIM_LR].values)
        if keys.OPTIM_RMS_MAX in run:
            found["Adam's RMS"] = np.log(run[keys.OPTIM_RMS_MAX].values)
    return found


def tried(folder: Path, held_out: bool = False) -> list[Trial]:
    """Every run, judged by our rule: its loss, its other signals, the loss with the norm beside it, and any of them.

    Any of them: each at a rate divided by their number.
    """
    trials = []
    for family, seed, run in organic_runs(folder, held_out=held_out):
        loss = run[keys.LOSS].values
        found = signals(run)
        alarms = {name: noticed(values) for name, values in found.items()}
        alarms["loss beside norm"] = noticed(loss, beside=run[keys.GRAD_NORM].values)
        for together, names in (("loss or gradient", list(found)[:2]), ("any signal", list(found))):
            rate = detection.ALARM_RATE / len(names)
            alarms[together] = np.unique(np.concatenate([noticed(found[name], rate) for name in names]))
        trials.append(Trial(family.name, seed, loss, onset(loss), alarms))
    return trials


def add_rules(trials: list[Trial], rules: Mapping[str, Rule]) -> None:
    """Judge the losses by the rules of others."""
    for trial in trials:
        steps = np.arange(len(trial.loss))
        for name, rule in rules.items():
            trial.alarms[name] = np.array([int(first) for first, _ in rule(steps, trial.loss)], dtype=int)


def circular_chance(alarms: np.ndarray, length: int, first: int, last: int) -> float:
    """Share of the circular moves of ``alarms`` within ``length`` steps with one of them in ``first`` to ``last``."""
    if not alarms.size or last < first:
        return 0.0
    hit = np.zeros(length, dtype=bool)
    for alarm in alarms:
        hit[(np.arange(first, last + 1) - alarm) % length] = True
    return float(hit.mean())


def row(trials: list[Trial], name: str) -> str:
    """Recall, chance, delay and false alarms of one rule."""
    found, chances, delays, from_plain = [], [], [], []
    alarms = {HEALTHY: 0, NOISY: 0, "before": 0}
    steps = {HEALTHY: 0, NOISY: 0, "before": 0}
    for trial in trials:
        if name not in trial.alarms:
            continue
        own, at, length = trial.alarms[name], trial.onset.at, len(trial.loss)
        if trial.is_healthy:
            kind = HEALTHY if trial.family.startswith(HEALTHY) else NOISY
            alarms[kind] += own.size
            steps[kind] += length
        elif trial.onset.course is Course.UNSTABLE:
            hits = own[(own >= at - NEAR) & (own <= at + NEAR)]
            found.append(hits.size > 0)
            chances.append(circular_chance(own, length, max(at - NEAR, 0), min(at + NEAR, length - 1)))
            if hits.size:
                delays.append(int(hits[0]) - at)
                from_plain.append(int(hits[0]) - trial.onset.plain_at)
            alarms["before"] += int((own < at - NEAR).sum())
            steps["before"] += max(at - NEAR, 0)
    rates = "".join(f"{1000 * alarms[kind] / max(steps[kind], 1):>10.2f}" for kind in alarms)
    delay = f"{np.median(delays):+.0f} ({np.median(from_plain):+.0f})" if delays else "-"
    return (
        f"{name:18}{sum(found):>4} of {len(found):<3}{np.mean(found):>6.0%}{np.mean(chances):>9.0%}{delay:>13}{rates}"
    )


def lead(trials: list[Trial], name: str) -> str:
    """How often a signal alarmed in the 50 steps before the onset, beside chance, and before or after the loss did."""
    early, chances, gains = 0, 0.0, []
    unstable = [t for t in trials if not t.is_healthy and t.onset.course is Course.UNSTABLE and name in t.alarms]
    for trial in unstable:
        own, at = trial.alarms[name], trial.onset.at
        before = own[own < at]
        first = max(at - NEAR, 0)
        early += bool((before >= first).any())
        chances += circular_chance(before, at, first, at - 1)
        near = [alarms[np.abs(alarms - at) <= NEAR] for alarms in (own, trial.alarms["loss"])]
        if all(alarms.size for alarms in near):
            gains.append(int(near[1][0] - near[0][0]))
    gain = f"{np.median(gains):+.0f} in {len(gains)}" if gains and name != "loss" else "-"
    return f"{name:18}{early:>4} of {len(unstable):<3}{chances:>10.1f}{gain:>18}"


def informed_delay(trial: Trial, false_alarm_rate: float) -> float:
    """Delay of a cumulative sum that knows the noise and the whole course of the rise: what no rule can count on.

    Page's sum of the log-likelihood ratio of the smoothed loss, future included, against the level 20 to 60 steps
    before the onset, in Gaussian noise as wide as that before; alarms at the logarithm of 1 / ``false_alarm_rate``.
    """
    at = trial.onset.at
    loss = np.where(np.isfinite(trial.loss), trial.loss, np.inf)
    smoothed = running_median(loss)
    level = np.median(loss[at - 60 : at - 20])
    calm = slice(max(at - 110, 20), at - 25)
    low, high = np.quantile(loss[calm] - smoothed[calm], [0.1587, 0.8413])
    rise = np.clip((smoothed - level) / (0.5 * (high - low)), 0.0, 6.0)
    value = np.minimum((loss - level) / (0.5 * (high - low)), 5.0)
    total = 0.0
    for step in range(at - 40, len(loss)):
        total = max(0.0, total + rise[step] * value[step] - rise[step] ** 2 / 2)
        if total > -np.log(false_alarm_rate):
            return step - at
    return float("inf")


def main() -> None:
    """Train what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--held-out", action="store_true", help="other seeds of the same families")
    parser.add_argument(
        "--peers", type=Path, metavar="PYTHON", help="run trainscope, losslint, trainspotter of this one"
    )
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    trials = tried(arguments.folder, arguments.held_out)
    rules = dict(CODED)
    real: dict[str, Callable[..., object]] = {}
    if arguments.peers is not None:
        rules |= (real := real_rules(arguments.peers, [(np.arange(len(t.loss)), t.loss) for t in trials]))
    add_rules(trials, rules)
    courses = [t.onset.course for t in trials if not t.is_healthy]
    print(
        f"{len(trials)} runs: {courses.count(Course.UNSTABLE)} unstable, "
        f"{len(courses) - courses.count(Course.UNSTABLE)} with a mistake that did no harm or is unclear (left out), "
        f"{len(trials) - len(courses)} healthy"
    )
    head = f"{'onset found':>11}{'':6}{'by chance':>11}{'delay':>12}{'healthy':>10}{'noisy':>10}{'before':>10}"
    print(f"\nour rule on       {head}")
    for name in (*WATCHED, "loss beside norm", "loss or gradient", "any signal"):
        print(row(trials, name))
    unstable = [t for t in trials if not t.is_healthy and t.onset.course is Course.UNSTABLE]
    for rate in (1e-4, 2e-4):
        delay = np.median([informed_delay(trial, rate) for trial in unstable])
        print(f"a sum that knew noise and rise, one false alarm in {1 / rate:,.0f} steps: delay {delay:+.0f}")
    print(f"\non the loss       {head}")
    for name in rules:
        print(row(trials, name))
    print(f"Run for real: {', '.join(['Lightning', *real])}. Coded in peers.py: the others.")
    print(f"\nalarm of          in the {NEAR} steps before the onset, by chance, steps before that of the loss")
    for name in WATCHED:
        print(lead(trials, name))


if __name__ == "__main__":
    main()
