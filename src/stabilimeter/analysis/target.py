"""When the seeds of a group reached the target of their primary metric."""

import math
from collections.abc import Sequence

import numpy as np

from stabilimeter.analysis.evidence import Evidence
from stabilimeter.analysis.summary import TimeToTarget
from stabilimeter.stats.levels import oriented
from stabilimeter.stats.time_to_target import first_reaching, median_time


def target_step(seed: Evidence, target: float | None) -> int | None:
    """First step at which the primary metric of a seed is at the target or better; None if never or without one."""
    if target is None or seed.primary.mode is None:
        return None
    wanted = float(oriented(np.array([target]), seed.primary.mode)[0])
    return first_reaching(seed.evaluations.steps, seed.evaluations.values, wanted)


def time_to_target(finished: Sequence[Evidence], target: float | None) -> TimeToTarget | None:
    """Over the finished seeds of a group, failed or not; None without a target."""
    if target is None:
        return None
    times = [target_step(seed, target) for seed in finished]
    reached = sum(time is not None for time in times)
    if not times:
        return TimeToTarget(target, 0, 0, None, "no run has finished")
    median = median_time(times)
    if math.isinf(median):
        return TimeToTarget(target, len(times), reached, None, f"{reached} of {len(times)} seeds reached the target")
    return TimeToTarget(target, len(times), reached, median, None)
