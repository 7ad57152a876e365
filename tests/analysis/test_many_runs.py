"""More runs than memory holds: the same summary, and a peak that hardly depends on their number."""

import tracemalloc
from dataclasses import fields

import numpy as np
import pytest

from stabilimeter.analysis.bands import bands_of
from stabilimeter.analysis.evidence import Evidence, scales_of
from stabilimeter.analysis.failure import failure_reasons
from stabilimeter.analysis.identical import copies
from stabilimeter.analysis.incidents import with_shared_marked
from stabilimeter.analysis.primary import primary_of
from stabilimeter.analysis.roles import roles_in
from stabilimeter.analysis.summarize import summarize
from stabilimeter.records import strict_json
from stabilimeter.records.series_store import SeriesStore
from stabilimeter.stats import common_outliers

N_STEPS = 20_000


def summary_of(build, runs):
    return summarize(build.sweep(build.group(runs)), rng=np.random.default_rng(0))


def test_series_on_disk_make_the_same_summary(build):
    """An odd batch, a short run, evaluations by the clock, a copy, a failed seed."""
    runs = []
    for seed in range(10):
        loss = build.loss(seed)
        loss[400] += 3.0
        steps = np.arange(seed, build.n_steps, 50 + seed)
        clock = build.points(build.val_loss(seed).values[: steps.size], steps[: build.val_loss(seed).values.size])
        runs.append(build.foreign(seed, loss=build.points(loss[: 700 if seed == 3 else None]), val_loss=clock))
    runs.append(build.foreign(10, loss=runs[0]._scalars["loss"], val_loss=runs[0]._scalars["val_loss"]))
    runs.append(build.foreign(11, loss=build.points(np.where(np.arange(1000) < 600, build.loss(11), np.nan))))
    store = SeriesStore(room=0)
    in_memory, on_disk = (summary_of(build, them) for them in (runs, [run.kept_in(store) for run in runs]))
    assert strict_json.dumps(on_disk.to_dict()) == strict_json.dumps(in_memory.to_dict())
    (group,), (same,) = in_memory.groups, on_disk.groups
    assert group.bands.keys() == same.bands.keys() == {"loss", "val_loss"}
    for tag, band in group.bands.items():
        for field in fields(band):
            np.testing.assert_array_equal(getattr(same.bands[tag], field.name), getattr(band, field.name))
    assert group.runs[10].copy_of == "base/seed=0"
    assert group.n_failed == 1


PARTS = {
    "copies": lambda seeds: copies([seed.run for seed in seeds], seeds[0].roles),
    "incidents": with_shared_marked,
    "failures": failure_reasons,
    "scales": scales_of,
    "bands": bands_of,
}


@pytest.mark.parametrize("part", PARTS)
def test_the_peak_hardly_depends_on_the_number_of_runs(build, monkeypatch, part):
    monkeypatch.setattr(common_outliers, "_AT_ONCE", N_STEPS)

    def peak(n):
        store = SeriesStore(room=0)
        noise = (np.random.default_rng(seed).normal(size=N_STEPS) for seed in range(n))
        runs = [build.ours(seed, **{"train/loss": build.points(own)}).kept_in(store) for seed, own in enumerate(noise)]
        seeds = [Evidence(run, roles_in(runs), primary_of(runs)) for run in runs]
        tracemalloc.start()
        PARTS[part](seeds)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    peak(3)  # what is imported
    assert peak(9) - peak(3) < 6 * 0.3 * 8 * N_STEPS  # a band has a thousand points of each run
