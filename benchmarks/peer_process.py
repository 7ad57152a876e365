"""What other packages say of series of losses; run by the Python of an environment that has them.

    pip install trainscope losslint trainspotter
    python benchmarks/peer_process.py < series.json > alarms.json

In: ``[{"steps": [...], "values": [...]}, ...]``, lower is better, NaN and infinities as JSON's extension. Out: for each
package that is installed, per series, the spans ``[first step, last step]`` of its alarms. Nothing of ours is imported.
"""

import importlib.util
import json
import math
import sys
from pathlib import Path


def trainscope_alarms(steps, values):
    """TrainScope at its defaults: values in a row at which its change-point detector gives a score.

    Non-finite losses do not reach the detector, as in ``TrainScope.step``, and are an anomaly there.
    """
    from trainscope.core.config import TrainScopeConfig
    from trainscope.core.detectors import make_detector

    detector = make_detector(TrainScopeConfig())
    flagged = [detector.update(value) is not None if math.isfinite(value) else True for value in values]
    return in_a_row(steps, flagged)


def losslint_alarms(steps, values):
    """losslint: non-finite values, spikes, and the last tenth of a run that ends higher than it started."""
    from losslint import checks
    from losslint.parsing import RunLog

    checks.MAX_EXAMPLES = len(values)  # how many steps of a finding are listed
    log = RunLog(steps=steps, series={"loss": values}, source=Path("loss"))
    bad = [
        step
        for check in (checks.check_nan_inf, checks.check_loss_spike)
        for finding in check(log)
        for step in finding.details["steps"]
    ]
    spans = in_a_row(steps, [step in set(bad) for step in steps])
    if checks.check_divergence(log):
        finite = [step for step, value in zip(steps, values, strict=True) if math.isfinite(value)]
        spans.append([finite[-max(1, len(finite) // 10)], finite[-1]])
    return spans


def trainspotter_alarms(steps, values):
    """trainspotter: its detectors of spikes and of divergence."""
    from trainspotter.detectors.divergence import DivergenceDetector
    from trainspotter.detectors.spikes import SpikeDetector
    from trainspotter.model import Run

    run = Run()
    for step, value in zip(steps, values, strict=True):
        run.add_point("train/loss", step, value)
    findings = SpikeDetector().run(run) + DivergenceDetector().run(run)
    return [[finding.step_start, finding.step_end] for finding in findings]


PACKAGES = {"trainscope": trainscope_alarms, "losslint": losslint_alarms, "trainspotter": trainspotter_alarms}


def in_a_row(steps, flagged):
    """First and last step of each stretch of flagged values."""
    spans, before = [], False
    for step, is_bad in zip(steps, flagged, strict=True):
        if is_bad and before:
            spans[-1][1] = step
        elif is_bad:
            spans.append([step, step])
        before = is_bad
    return spans


def main():
    """Read series, write alarms."""
    series = json.load(sys.stdin)
    found = {
        name: [alarms(**one) for one in series]
        for name, alarms in PACKAGES.items()
        if importlib.util.find_spec(name) is not None
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
