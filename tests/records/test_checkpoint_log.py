import json
import math
from dataclasses import replace

import pytest

from stabilimeter.records.checkpoint_log import (
    CHECKPOINTS_FILE,
    LAST_HEALTHY_FILE,
    Evaluation,
    ExampleChanges,
    SavedCheckpoint,
    SliceResult,
    checkpoint_line,
    drop_checkpoints_after,
    evaluation_text,
    full_path,
    point_at_last_healthy,
    read_checkpoints,
    relative_path,
)
from stabilimeter.records.record_error import RecordError
from stabilimeter.stats.checkpoint_verdict import Comparison, Verdict

AGAINST = Comparison(19, Verdict.WORSE, -0.05, 0.01, 0.002, "mcnemar")
EVALUATION = Evaluation(
    step=39,
    epoch=1,
    wall_time=12.5,
    monitor="val/accuracy",
    mode="max",
    value=0.9,
    metrics={"val/accuracy": 0.9, "val/loss": math.inf},
    verdict=Verdict.WORSE,
    against_best=AGAINST,
    against_previous=replace(AGAINST, verdict=Verdict.SAME, p=0.4),
    drawdown=0.05,
    examples=ExampleChanges(100, 7, 2, 0.11, 8, 30, 1),
    slices=(SliceResult("seven", 10, 0.5, 3, AGAINST), SliceResult("8", 90, 0.9)),
    unhealthy=("train loss is nan",),
)
SAVED = SavedCheckpoint(39, 1, 13.0, "checkpoints/a.ckpt")


def write(folder, *entries, tail=""):
    (folder / CHECKPOINTS_FILE).write_text("".join(map(checkpoint_line, entries)) + tail)


def test_everything_comes_back(tmp_path):
    write(tmp_path, EVALUATION, SAVED)
    log, torn_at = read_checkpoints(tmp_path)
    assert (log.evaluations, log.saved, log.last_healthy, torn_at) == ((EVALUATION,), (SAVED,), None, None)


def test_lines_are_strict_json():
    plain = json.loads(checkpoint_line(EVALUATION), parse_constant=pytest.fail)
    assert (plain["kind"], plain["verdict"], plain["metrics"]["val/loss"]) == ("evaluation", "worse", "Infinity")
    assert plain["slices"][0]["comparison"]["verdict"] == "worse"


def test_a_torn_tail_is_left_out_and_told(tmp_path):
    write(tmp_path, EVALUATION, SAVED, tail=checkpoint_line(SAVED)[:30])
    log, torn_at = read_checkpoints(tmp_path)
    assert len(log.evaluations) == len(log.saved) == 1
    assert torn_at == len(checkpoint_line(EVALUATION) + checkpoint_line(SAVED))


def test_what_was_told_last_counts(tmp_path):
    write(tmp_path, EVALUATION, SAVED, replace(EVALUATION, value=0.8), replace(SAVED, step=59, unhealthy=("nan",)))
    log, _ = read_checkpoints(tmp_path)
    assert [evaluation.value for evaluation in log.evaluations] == [0.8]
    assert [(saved.step, saved.unhealthy) for saved in log.saved] == [(59, ("nan",))]


def test_a_resumed_run_begins_after_what_it_knows(tmp_path):
    later = replace(EVALUATION, step=59)
    write(tmp_path, EVALUATION, SAVED, later, replace(SAVED, step=59, path="b"), tail='{"kind": "eval')
    drop_checkpoints_after(tmp_path, 39)
    log, torn_at = read_checkpoints(tmp_path)
    assert (log.evaluations, log.saved, torn_at) == ((EVALUATION,), (SAVED,), None)
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINTS_FILE]  # no draft is left


@pytest.mark.parametrize("line", ["{}", "[]", '{"kind": "other"}', '{"kind": "checkpoint", "step": "a"}', "not json"])
def test_a_line_of_another_kind_is_refused_by_its_place(tmp_path, line):
    write(tmp_path, SAVED)
    with (tmp_path / CHECKPOINTS_FILE).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(RecordError, match=f"byte {len(checkpoint_line(SAVED))} is not an evaluation"):
        read_checkpoints(tmp_path)


def test_pointer(tmp_path):
    point_at_last_healthy(tmp_path, SAVED)
    point_at_last_healthy(tmp_path, replace(SAVED, step=59))
    assert read_checkpoints(tmp_path)[0].last_healthy == replace(SAVED, step=59)
    assert [path.name for path in tmp_path.iterdir()] == [LAST_HEALTHY_FILE]
    (tmp_path / LAST_HEALTHY_FILE).write_text("{}")
    with pytest.raises(RecordError, match="does not name a checkpoint"):
        read_checkpoints(tmp_path)


def test_paths_move_with_the_run(tmp_path):
    inside, outside = tmp_path / "run" / "checkpoints" / "a.ckpt", tmp_path / "elsewhere.ckpt"
    assert relative_path(str(inside), tmp_path / "run") == "checkpoints/a.ckpt"
    assert relative_path(str(outside), tmp_path / "run") == str(outside)
    assert relative_path("s3://bucket/a.ckpt", tmp_path) == full_path("s3://bucket/a.ckpt", tmp_path)
    assert full_path("checkpoints/a.ckpt", tmp_path / "moved") == str(tmp_path / "moved" / "checkpoints" / "a.ckpt")


def test_in_words():
    assert evaluation_text(EVALUATION) == (
        "`val/accuracy` 0.9 at step 39: **worse** than the best before, of step 19 (by -0.05, p = 0.002, mcnemar); "
        "of 100 examples 7 got lost and 2 were won; worse in seven; train loss is nan."
    )
    same = replace(EVALUATION, against_best=replace(AGAINST, verdict=Verdict.SAME), examples=None, slices=())
    assert "**same** as the best before" in evaluation_text(same)
