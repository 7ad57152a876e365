import math

import numpy as np
import pytest

from stabilimeter.records.mlflow_store import is_mlflow_run, name_of_mlflow_run, read_mlflow_run
from stabilimeter.records.overrides import Overrides
from stabilimeter.records.record_error import RecordError


def store(folder, metrics, params=(), meta="lifecycle_stage: active\nrun_id: abc\nrun_name: wistful-ant-659\n"):
    (folder / "metrics").mkdir(parents=True)
    (folder / "meta.yaml").write_text(meta)
    for key, text in dict(metrics).items():
        path = folder / "metrics" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for key, text in dict(params).items():
        path = folder / "params" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def points(log, key):
    return dict(zip(log.scalars[key].steps.tolist(), log.scalars[key].values.tolist(), strict=True))


def test_a_file_per_metric_and_slashes_are_folders(tmp_path):
    run = store(
        tmp_path / "run",
        {
            "loss": "1700000000000 2.5 0\n1700000000100 nan 1\n1700000000200 -inf 2\n",
            "val/accuracy": "1700000000000 0.25 10 digits a1b2c3\n",
        },
        {"lr": "0.1", "seed": "7", "data/output_dir": "/somewhere"},
    )
    log, overrides = read_mlflow_run(run)
    assert set(log.scalars) == {"loss", "val/accuracy"}
    np.testing.assert_array_equal(log.scalars["loss"].values, [2.5, math.nan, -math.inf])
    assert log.scalars["loss"].steps.tolist() == [0, 1, 2]
    assert points(log, "val/accuracy") == {10: 0.25}
    assert log.notes == ()
    assert overrides == Overrides(("lr=0.1",), 7, chosen=False)
    assert is_mlflow_run(run)
    assert name_of_mlflow_run(run) == "wistful-ant-659"


def test_a_run_without_parameters_or_steps(tmp_path):
    log, overrides = read_mlflow_run(store(tmp_path / "run", {"loss": "17 2.5\n18 1.5\n"}))
    assert points(log, "loss") == {0: 1.5}
    assert log.notes == (
        "metrics: points logged again at their step with another value: 1; what was logged last counts",
    )
    assert overrides is None


def test_an_unfinished_last_line_is_left_out_and_told(tmp_path):
    log, _ = read_mlflow_run(store(tmp_path / "run", {"a/loss": "17 2.5 1\n18 1.5 1"}))
    assert points(log, "a/loss") == {1: 2.5}
    assert log.notes == ("metrics/a/loss: unfinished last line 2 left out",)


@pytest.mark.parametrize(
    ("meta", "name"),
    [
        ("run_name: ''\n", "run"),
        ("{}\n", "run"),
        ("run_name: 5\n", "5"),
        ("lifecycle_stage: deleted\nrun_name: x\n", None),
    ],
)
def test_names(tmp_path, meta, name):
    assert name_of_mlflow_run(store(tmp_path / "run", {}, meta=meta)) == name


def test_the_name_in_a_tag_of_older_versions(tmp_path):
    run = store(tmp_path / "run", {}, meta="name: ''\n")
    (run / "tags").mkdir()
    (run / "tags" / "mlflow.runName").write_text("elder")
    assert name_of_mlflow_run(run) == "elder"


def test_an_experiment_is_no_run(tmp_path):
    store(tmp_path / "0" / "run", {})
    (tmp_path / "0" / "meta.yaml").write_text("name: Default\n")
    assert not is_mlflow_run(tmp_path / "0")


@pytest.mark.parametrize("line", ["17", "17 x 1", "17 1.0 0.5", "17 1.0 nan", "17 1.0 9999999999999999999"])
def test_bad_lines_are_refused_with_the_place(tmp_path, line):
    run = store(tmp_path / "run", {"loss": f"17 1.0 0\n{line}\n18 1.0 2\n"})
    with pytest.raises(RecordError, match="metrics/loss: line 2 is not 'timestamp value step'"):
        read_mlflow_run(run)


def test_files_that_are_no_text_are_refused(tmp_path):
    run = store(tmp_path / "run", {}, meta="a: [\n")
    with pytest.raises(RecordError, match=r"cannot read .*meta\.yaml") as caught:
        name_of_mlflow_run(run)
    assert "\n" not in str(caught.value)
    (run / "metrics" / "loss").write_bytes(b"\xff\xfe")
    with pytest.raises(RecordError, match=r"loss: not a text file \(byte 0\)"):
        read_mlflow_run(run)
