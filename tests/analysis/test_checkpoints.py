import json
import math

import numpy as np
import pytest

from stabilimeter.analysis.checkpoints import checkpoint_course, run_checkpoints
from stabilimeter.analysis.summarize import summarize
from stabilimeter.records.checkpoint_log import (
    Evaluation,
    ExampleChanges,
    SavedCheckpoint,
    SliceResult,
    checkpoint_line,
    point_at_last_healthy,
)
from stabilimeter.records.run import read_run
from stabilimeter.records.strict_json import dumps
from stabilimeter.records.sweep import read_sweep
from stabilimeter.stats.checkpoint_verdict import Comparison, Verdict


@pytest.fixture
def folder(tmp_path):
    """A run that was logged by a `CSVLogger`, and judged without a `StabilityMonitor`."""
    run = tmp_path / "version_0"
    (run / "stability").mkdir(parents=True)
    (run / "metrics.csv").write_text("step,acc\n0,0.5\n9,0.9\n19,0.7\n29,0.88\n")
    worse = Comparison(9, Verdict.WORSE, -0.2, 0.03, 0.001, "mcnemar")
    other_unit = Comparison(9, Verdict.SAME, 0.4, 0.05, 0.3, "paired t")
    entries = [
        Evaluation(0, 0, 0.0, "acc", "max", 0.5, slices=(SliceResult("a", 4, 0.25),)),
        Evaluation(9, 0, 1.0, "acc", "max", 0.9, verdict=Verdict.BETTER,
                   against_best=Comparison(0, Verdict.BETTER, 0.4, 0.05, 0.0, "mcnemar")),
        SavedCheckpoint(9, 0, 1.5, "best.ckpt"),
        Evaluation(19, 0, 2.0, "acc", "max", 0.7, verdict=Verdict.WORSE, against_best=worse, drawdown=0.2,
                   slices=(SliceResult("a", 4, 0.5, 1, worse), SliceResult("b", 6, 0.1)), unhealthy=("loss is nan",)),
        Evaluation(29, 0, 3.0, "acc", "max", 0.88, verdict=Verdict.SAME, against_best=other_unit, drawdown=0.02,
                   examples=ExampleChanges(10, forgotten=2, forgetting_events=5, never_learned=1)),
        SavedCheckpoint(29, 0, 3.5, "gone.ckpt"),
    ]  # fmt: skip
    (run / "stability" / "checkpoints.jsonl").write_text("".join(map(checkpoint_line, entries)))
    (run / "best.ckpt").touch()
    point_at_last_healthy(run / "stability", entries[2])
    return run


def test_what_is_drawn(folder):
    course = checkpoint_course(read_run(folder))
    assert (course.monitor, course.mode, course.steps.tolist()) == ("acc", "max", [0, 9, 19, 29])
    np.testing.assert_array_equal(course.best, [math.nan, 0.5, 0.9, 0.9])
    np.testing.assert_allclose(course.low, [math.nan, 0.4, 0.84, math.nan])  # the last test is of losses
    np.testing.assert_allclose(course.high, [math.nan, 0.6, 0.96, math.nan])
    assert course.verdicts == (None, Verdict.BETTER, Verdict.WORSE, Verdict.SAME)
    assert (course.ship.path, course.last_healthy.path) == ("best.ckpt", "best.ckpt")
    first, second = course.slices
    np.testing.assert_array_equal(first.values, [0.25, math.nan, 0.5, math.nan])
    assert (first.name, first.n, first.verdicts[2], first.negative[2]) == ("a", 4, Verdict.WORSE, 1)
    assert (second.name, second.verdicts) == ("b", (None,) * 4)


def test_what_is_told(folder):
    told = run_checkpoints(read_run(folder))
    assert (told.n_evaluations, told.n_worse, told.n_unhealthy) == (4, 1, 1)
    assert (told.max_drawdown, told.regret) == (pytest.approx(0.2), pytest.approx(0.02))
    assert (told.never_learned, told.forgetting_events, told.last_healthy) == (1, 5, "best.ckpt")
    assert told.ship.reason == ("acc 0.9, the best of its healthy checkpoints; 1 of 2 later evaluations are worse")


def test_it_is_part_of_the_summary(folder):
    summary = summarize(read_sweep(folder.parent), rng=np.random.default_rng(0), metric="acc")
    (group,) = json.loads(dumps(summary.to_dict()))["groups"]
    assert group["ship"]["path"] == "version_0/best.ckpt"
    assert group["runs"][0]["checkpoints"]["ship"]["step"] == 9


def test_nothing_is_said_about_logs_that_were_not_judged(folder):
    (folder / "stability" / "checkpoints.jsonl").unlink()
    run = read_run(folder)
    assert run.checkpoints is checkpoint_course(run) is run_checkpoints(run) is None
    summary = summarize(read_sweep(folder.parent), rng=np.random.default_rng(0))
    assert summary.groups[0].ship is None


def test_a_torn_line_is_told(folder):
    with (folder / "stability" / "checkpoints.jsonl").open("a") as file:
        file.write('{"kind": "ev')
    run = read_run(folder)
    assert len(run.checkpoints.evaluations) == 4
    assert any("checkpoints.jsonl: unfinished last line left out" in note for note in run.notes)
