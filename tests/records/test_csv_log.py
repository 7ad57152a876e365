import csv
import math

import numpy as np
import pytest
from lightning.pytorch.loggers import CSVLogger

from stabilimeter.records.csv_log import read_csv_log
from stabilimeter.records.record_error import RecordError


def read(tmp_path, text):
    path = tmp_path / "log.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_csv_log(path)


def points(log, tag):
    return dict(zip(log.scalars[tag].steps.tolist(), log.scalars[tag].values.tolist(), strict=True))


def test_empty_is_not_logged_and_nan_and_inf_are_values(tmp_path):
    log = read(tmp_path, "step,loss,val\n0,1.5,\n10,nan,0.25\n20,,\n30,-inf,Infinity\n")
    assert log.scalars["loss"].steps.tolist() == [0, 10, 30]
    np.testing.assert_array_equal(log.scalars["loss"].values, [1.5, math.nan, -math.inf])
    assert points(log, "val") == {10: 0.25, 30: math.inf}
    assert log.notes == ()


def test_lightnings_own_log(tmp_path):
    logger = CSVLogger(tmp_path, name="x")
    logger.log_metrics({"train_loss": 2.0, "epoch": 0}, step=49)
    logger.log_metrics({"val_loss": 3.0, "epoch": 0}, step=49)
    logger.log_metrics({"train_loss": float("nan"), "epoch": 1}, step=99)
    logger.save()
    log = read_csv_log(tmp_path / "x" / "version_0" / "metrics.csv")
    assert points(log, "val_loss") == {49: 3.0}
    assert log.scalars["train_loss"].steps.tolist() == [49, 99]
    np.testing.assert_array_equal(log.scalars["train_loss"].values, [2.0, math.nan])
    assert points(log, "epoch") == {49: 0.0, 99: 1.0}


def test_float64_text_survives_exactly(tmp_path, rng):
    values = rng.normal(size=100) * 10.0 ** rng.integers(-200, 200, 100)
    with (tmp_path / "log.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("iteration", "x, y"), *enumerate(map(repr, values.tolist()))])
    assert points(read_csv_log(tmp_path / "log.csv"), "x, y") == dict(enumerate(values.tolist()))


@pytest.mark.parametrize("name", ["step", "global_step", "Step", "_step", "iteration", "trainer/global_step", "epoch"])
def test_names_of_the_step_column(tmp_path, name):
    log = read(tmp_path, f"loss,{name}\n2.0,7\n1.0,9.0\n")
    assert points(log, "loss") == {7: 2.0, 9: 1.0}


def test_step_is_preferred_to_epoch(tmp_path):
    assert points(read(tmp_path, "epoch,step,loss\n1,50,2.0\n"), "loss") == {50: 2.0}


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_and_a_byte_order_mark(tmp_path, delimiter):
    log = read(tmp_path, b"\xef\xbb\xbf" + f"step{delimiter}loss\r\n0{delimiter}1.5\r\n".encode())
    assert points(log, "loss") == {0: 1.5}


def test_columns_of_text_are_left_out_and_named(tmp_path):
    log = read(tmp_path, "step,stage,loss,never\n0,train,1.0,\n1,val,2.0,\n")
    assert list(log.scalars) == ["loss"]
    assert log.notes == ("log.csv: columns of text left out: stage",)


def test_the_row_numbers_of_pandas_are_no_metric(tmp_path):
    log = read(tmp_path, ",_step,loss\n0,10,2.5\n1,20,1.5\n")
    assert list(log.scalars) == ["loss"]
    assert points(log, "loss") == {10: 2.5, 20: 1.5}
    assert log.notes == ()


def test_steps_out_of_order_are_sorted_and_the_last_of_a_step_counts(tmp_path):
    log = read(tmp_path, "step,loss\n5,5.0\n3,3.0\n5,55.0\n")
    assert points(log, "loss") == {3: 3.0, 5: 55.0}
    assert log.notes == (
        "log.csv: points logged again at their step with another value: 1; what was logged last counts",
    )


def test_an_unfinished_last_line_is_left_out_and_told(tmp_path):
    log = read(tmp_path, "step,loss,acc\n0,1.0,0.5\n1,2.")
    assert points(log, "loss") == {0: 1.0}
    assert log.notes == ("log.csv: unfinished last line 3 left out",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "no step column among"),
        ("", "no step column among"),
        ("step,loss\n0,1.0\n1,oops\n2,1.0\n", "line 3, column 'loss': 'oops' is not a number"),
        ("step,loss\n0,1.0\n1\n2,1.0\n", "line 3 has 1 cells where the header has 2"),
        ("step,loss\n0.5,1.0\n", "line 2: the step must be a whole number, got '0.5'"),
        ("step,loss\n,1.0\n", "line 2: the step must be a whole number, got ''"),
        ("step,loss\ninf,1.0\n", "the step must be a whole number, got 'inf'"),
        ("step,loss,loss\n0,1.0,2.0\n", "a column name occurs twice"),
        (b"step,loss\n0,\xff\xfe\n", "not a text file"),
        ('step,loss\n0,"1.0"x\n', "is not CSV"),
    ],
)
def test_bad_files_are_refused_with_the_place(tmp_path, text, message):
    with pytest.raises(RecordError, match=message) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "log.csv"))
    assert "\n" not in str(caught.value)
