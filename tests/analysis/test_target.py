import numpy as np

from stabilimeter.analysis.summarize import summarize
from stabilimeter.records.manifest import RunStatus


def accuracy(build, *values):
    return build.points(values, np.arange(len(values)) * 100 + 99)


def summarized(build, runs, **options):
    sweep = build.sweep(build.group(runs))
    rng = np.random.default_rng(0)
    return summarize(sweep, rng=rng, metric="val/accuracy", mode="max", expect_progress=False, **options).groups[0]


def test_first_time_counts_and_never_is_later_than_any(build):
    curves = [(0.2, 0.9, 0.7), (0.2, 0.5, 0.8), (0.2, 0.3, 0.4)]
    runs = [build.ours(seed, **{"val/accuracy": accuracy(build, *curve)}) for seed, curve in enumerate(curves)]
    group = summarized(build, runs, target=0.8)
    assert [run.target_step for run in group.runs] == [199, 299, None]
    times = group.time_to_target
    assert (times.target, times.n, times.n_reached, times.median, times.reason) == (0.8, 3, 2, 299, None)


def test_not_reached_is_said(build):
    curves = [(0.2, 0.9), (0.2, 0.5)]
    runs = [build.ours(seed, **{"val/accuracy": accuracy(build, *curve)}) for seed, curve in enumerate(curves)]
    times = summarized(build, runs, target=0.8).time_to_target
    assert (times.n_reached, times.median, times.reason) == (1, None, "1 of 2 seeds reached the target")


def test_running_seeds_do_not_count(build):
    done = build.ours(0, **{"val/accuracy": accuracy(build, 0.9)})
    running = build.ours(1, RunStatus.RUNNING, **{"val/accuracy": accuracy(build, 0.2)})
    assert summarized(build, [done, running], target=0.8).time_to_target.n == 1


def test_nothing_without_a_target(build):
    group = summarized(build, [build.ours(0, **{"val/accuracy": accuracy(build, 0.9)})])
    assert group.time_to_target is None
    assert group.runs[0].target_step is None
