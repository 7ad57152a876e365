import math

import numpy as np
import pytest

from stabilimeter.records.csv_table import csv_header
from stabilimeter.records.exported_runs import Export, export_kind, exported_runs, why_unreadable
from stabilimeter.records.record_error import RecordError


def export(tmp_path, text, name="export.csv"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def points(log, key):
    return dict(zip(log.scalars[key].steps.tolist(), log.scalars[key].values.tolist(), strict=True))


def chart(x, *series):
    """Header of a W&B chart."""
    columns = [x, *(name + suffix for name in series for suffix in ("", "__MIN", "__MAX"))]
    return ",".join(f'"{name}"' for name in columns) + "\n"


def test_each_run_of_a_wandb_chart_is_a_run(tmp_path):
    text = chart("Step", "brisk-pond-1 - train/loss", "true - pond - train/loss")
    text += '"0","1.5","1.5","1.5","","",""\n"10","NaN","NaN","NaN","2","2","2"\n"20","","","","-Infinity","1","1"\n'
    first, second = exported_runs([export(tmp_path, text)])
    assert (first.name, second.name) == ("brisk-pond-1", "true - pond")
    assert first.log.scalars["train/loss"].steps.tolist() == [0, 10]
    np.testing.assert_array_equal(first.log.scalars["train/loss"].values, [1.5, math.nan])
    assert points(second.log, "train/loss") == {10: 2.0, 20: -math.inf}
    assert first.log.notes == second.log.notes == ()


def test_charts_of_one_folder_are_put_together(tmp_path):
    loss = export(tmp_path, chart("Step", "a - loss", "b - loss") + "1,4,4,4,5,5,5\n", "loss.csv")
    accuracy = export(tmp_path, chart("Step", "a - acc") + "2,0.5,0.5,0.5\n", "acc.csv")
    runs = {run.name: run.log for run in exported_runs([accuracy, loss])}
    assert {name: sorted(log.scalars) for name, log in runs.items()} == {"a": ["acc", "loss"], "b": ["loss"]}
    assert (points(runs["a"], "acc"), points(runs["a"], "loss")) == ({2: 0.5}, {1: 4.0})


def test_a_chart_over_the_epoch_counts_the_steps_beside_it(tmp_path):
    text = chart("epoch", "a - _step", "a - loss", "b - _step", "b - loss")
    text += "1,50,50,50,2.5,2.5,2.5,,,,,,\n2,100,100,100,1.5,1.5,1.5,80,80,80,3,3,3\n"
    runs = {run.name: run.log for run in exported_runs([export(tmp_path, text)])}
    assert points(runs["a"], "loss") == {50: 2.5, 100: 1.5}
    assert points(runs["b"], "loss") == {80: 3.0}
    assert list(runs["a"].scalars) == ["loss"]


def test_points_that_are_means_over_several_steps_are_told(tmp_path):
    text = chart("Step", "a - loss") + "0,2,2,2\n10,1.5,1,2\n20,1.5,1,2\n"
    (run,) = exported_runs([export(tmp_path, text)])
    assert points(run.log, "loss") == {0: 2.0, 10: 1.5, 20: 1.5}
    assert run.log.notes == ("loss: 2 of 3 points are means over several steps, as W&B exports them",)


def test_means_over_groups_are_no_runs(tmp_path):
    text = chart("Step", "Group: x - loss", "a - loss") + "0,2,1,3,4,4,4\n"
    (run,) = exported_runs([export(tmp_path, text)])
    assert run.name == "a"
    assert run.log.notes == ("export.csv: means over groups of runs left out: Group: x",)


MLFLOW_CHART = """Run,Run ID,metric,step,timestamp,value
calm-fox,id1,loss,0,1700000000000,2.5
calm-fox,id1,loss,1,1700000000100,NaN
calm-fox,id2,loss,0,1700000000000,-Infinity
calm-fox,id1,val/acc,1,1700000000000,0.5
"""
MLFLOW_PAGE = "run_id,key,value,step,timestamp\nid1,loss,2.5,0,17\nid2,loss,1.5,3,17\n"


def test_both_exports_of_mlflow(tmp_path):
    runs = exported_runs([export(tmp_path, MLFLOW_CHART)])
    assert [(run.key, run.name) for run in runs] == [("id1", "calm-fox"), ("id2", "calm-fox")]
    np.testing.assert_array_equal(runs[0].log.scalars["loss"].values, [2.5, math.nan])
    assert points(runs[0].log, "val/acc") == {1: 0.5}
    assert points(runs[1].log, "loss") == {0: -math.inf}
    runs = exported_runs([export(tmp_path, MLFLOW_PAGE)])
    assert [(run.key, run.name, points(run.log, "loss")) for run in runs] == [
        ("id1", "id1", {0: 2.5}),
        ("id2", "id2", {3: 1.5}),
    ]


def test_the_same_points_in_two_exports_are_no_contradiction(tmp_path):
    one = export(tmp_path, MLFLOW_PAGE, "1.csv")
    two = export(tmp_path, MLFLOW_PAGE.replace("1.5", "1.25"), "2.csv")
    runs = exported_runs([one, two])
    assert runs[0].log.notes == ()
    assert points(runs[1].log, "loss") == {3: 1.25}
    assert runs[1].log.notes == (
        "exports: points logged again at their step with another value: 1; what was logged last counts",
    )


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        (MLFLOW_CHART, Export.MLFLOW, None),
        (MLFLOW_PAGE, Export.MLFLOW, None),
        ("Group,Run ID,metric,step,timestamp,value\n", Export.MLFLOW, "MLflow's means over groups of runs"),
        (chart("Step", "a - b - loss"), Export.WANDB, None),
        (chart("Relative Time (Process)", "a - _step", "a - loss"), Export.WANDB, None),
        (chart("Relative Time (Process)", "a - loss"), Export.WANDB, "a W&B chart over 'Relative Time (Process)'"),
        (chart("Step", "Group: x - loss"), Export.WANDB, "a W&B chart of means over groups of runs"),
        ("step,a - b,loss__MIN\n", None, None),
        ("step,loss\n", None, None),
        ("Start Time,Duration,Run ID,Name,Status,loss\n", None, None),
        ("", None, None),
    ],
)
def test_exports_are_known_by_their_header(tmp_path, text, kind, reason):
    header = csv_header(export(tmp_path, text))
    assert export_kind(header) is kind
    if kind is not None:
        found = why_unreadable(header)
        assert found == reason if reason is None else found.startswith(reason)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (chart("Step", "a - loss") + "0,x,1,1\n", "line 2, column 'a - loss': 'x' is not a number"),
        (chart("Step", "a - loss") + "0.5,1,1,1\n", "line 2: the step must be a whole number, got '0.5'"),
        (chart("Step", "a - loss", "a - loss"), "a column name occurs twice: a - loss"),
        (chart("epoch", "a - loss", "b - _step") + "1,1,1,1,1\n0,1,1,1,1,1,1\n", "line 2 has 5 cells"),
        (chart("Time", "a - loss", "b - _step", "b - loss") + "0,1,1,1,1,1,1,1,1,1\n", "no steps for the run 'a'"),
        (MLFLOW_PAGE + "id1,loss,oops,4,17\n", "line 4, column 'value': 'oops' is not a number"),
        (MLFLOW_PAGE + ",loss,1.0,4,17\n", "line 4 names no run or no metric"),
    ],
)
def test_bad_exports_are_refused_with_the_place(tmp_path, text, message):
    with pytest.raises(RecordError, match=message) as caught:
        exported_runs([export(tmp_path, text)])
    assert "\n" not in str(caught.value)


def test_an_unfinished_last_line_is_told_once(tmp_path):
    for text in (chart("Step", "a - loss") + "0,1,1,1\n5,2", MLFLOW_PAGE + "id1,lo"):
        for run in exported_runs([export(tmp_path, text)]):
            number = text.count("\n") + 1
            assert run.log.notes == (f"export.csv: unfinished last line {number} left out",)
