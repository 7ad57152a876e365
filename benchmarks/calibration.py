"""How often the detector alarms on stationary noise, where every alarm is false.

    python benchmarks/calibration.py --seeds 50      two minutes on one core

20,000 values per seed of Gaussian noise, autoregressive noise with coefficients 0.5 and 0.9, Student's t with 3 degrees
of freedom and log-normal noise with sigma 1, judged at the default alarm rate of 1e-4 per value; and magnitudes, judged
by their logarithms: log-normal, and with a power tail (a logarithm whose tails are exponential). ``two``: beside a
log-normal magnitude that has nothing to do with it. The interval is the exact 95 % one for a Poisson count. ``slow``
counts the alarms that no single value caused, ``live`` the turns that are told while they last: most come to nothing.
"""

import argparse
import sys
from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter

from stabilimeter.stats.detection import ALARM_RATE, detect, onward, start
from stabilimeter.stats.spike_rate import spike_rate

STEPS = 20_000


def autoregressive(coefficient: float) -> Callable[[np.random.Generator], np.ndarray]:
    """Gaussian noise of which each value remembers the one before."""
    return lambda rng: lfilter([1.0], [1.0, -coefficient], rng.standard_normal(STEPS))


NOISES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "Gaussian": lambda rng: rng.standard_normal(STEPS),
    "AR(0.5)": autoregressive(0.5),
    "AR(0.9)": autoregressive(0.9),
    "Student t, 3": lambda rng: rng.standard_t(3, STEPS),
    "log-normal, 1": lambda rng: rng.lognormal(0.0, 1.0, STEPS),
}
BESIDE: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "Gaussian, two": NOISES["Gaussian"],
    "Student t, two": NOISES["Student t, 3"],
}
MAGNITUDES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "log-normal size": NOISES["log-normal, 1"],
    "power-tail size": lambda rng: np.exp(rng.laplace(0.0, 0.3, STEPS)),
}


def live(values: list[float], beside: list[float] | None, *, positive: bool, alarm_rate: float) -> int:
    """How often a turn is told while it lasts."""
    state, at, told, goes_on = start(positive=positive, alarm_rate=alarm_rate), 0, 0, False
    while at < len(values):
        state, _, at = onward(state, range(len(values)), values, at, beside)
        told += state.slow.setback.alarmed and not goes_on
        goes_on = state.slow.setback.alarmed
    return told


def main() -> None:
    """Print the alarm rate on each kind of noise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--alarm-rate", type=float, default=ALARM_RATE)
    arguments = parser.parse_args()
    print(f"{'noise':16}{'alarms':>8}{'slow':>6}{'live':>6}{'per value':>12}   95 % interval")
    for name, noise in (NOISES | MAGNITUDES | BESIDE).items():
        alarms = slow = turns = 0
        for seed in range(arguments.seeds):
            print(f"\r{name}: seed {seed + 1} of {arguments.seeds}", end="", file=sys.stderr, flush=True)
            rng = np.random.default_rng(seed)
            values = noise(rng)
            beside = np.exp(0.3 * rng.standard_normal(STEPS)).tolist() if name in BESIDE else None
            settings = {"positive": name in MAGNITUDES, "alarm_rate": arguments.alarm_rate}
            found = detect(range(STEPS), values.tolist(), beside=beside, **settings)
            turns += live(values.tolist(), beside, **settings)
            alarms += len(found)
            slow += sum("slow" in incident.evidence for incident in found)
        print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
        rate = spike_rate(alarms, arguments.seeds * STEPS)
        print(
            f"{name:16}{alarms:8d}{slow:6d}{turns:6d}{rate.rate:12.1e}   {rate.low:.1e} to {rate.high:.1e}", flush=True
        )


if __name__ == "__main__":
    main()
