import json
import math

import numpy as np
import pytest

from stabilimeter.records.jsonl_log import jsonl_step_key, read_jsonl_log
from stabilimeter.records.record_error import RecordError


def read(tmp_path, text):
    path = tmp_path / "log.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_jsonl_log(path)


def points(log, key):
    return dict(zip(log.scalars[key].steps.tolist(), log.scalars[key].values.tolist(), strict=True))


def test_each_key_has_the_steps_at_which_it_was_logged(tmp_path):
    log = read(
        tmp_path,
        '{"step": 0, "loss": 2.5, "lr": 1e-3}\n'
        '{"step": 10, "loss": 1, "val": {"loss": 3.0, "top": {"1": 0.5}}}\n'
        "\n"
        '{"loss": null, "step": 20.0, "lr": 2e-3}\n',
    )
    assert {key: points(log, key) for key in log.scalars} == {
        "loss": {0: 2.5, 10: 1.0},
        "lr": {0: 1e-3, 20: 2e-3},
        "val/loss": {10: 3.0},
        "val/top/1": {10: 0.5},
    }
    assert log.notes == ()


def test_nonfinite_numbers_are_values_however_they_are_written(tmp_path):
    words = ["NaN", "Infinity", "-Infinity", '"NaN"', '"Infinity"', '"-Infinity"', '"nan"', '"-inf"']
    log = read(tmp_path, "".join(f'{{"step": {step}, "loss": {word}}}\n' for step, word in enumerate(words)))
    expected = [math.nan, math.inf, -math.inf, math.nan, math.inf, -math.inf, math.nan, -math.inf]
    np.testing.assert_array_equal(log.scalars["loss"].values, expected)


def test_float64_survives_bit_for_bit(tmp_path, rng):
    values = (rng.normal(size=100) * 10.0 ** rng.integers(-300, 300, 100)).tolist()
    lines = [json.dumps({"iteration": step, "x": value}) + "\n" for step, value in enumerate(values)]
    assert points(read(tmp_path, "".join(lines)), "x") == dict(enumerate(values))


def test_a_step_in_a_nested_object_and_by_another_name(tmp_path):
    assert points(read(tmp_path, '{"trainer": {"global_step": 5}, "epoch": 1, "x": 2}\n'), "x") == {5: 2.0}
    assert points(read(tmp_path, '{"Epoch": 3, "x": 2}\n'), "x") == {3: 2.0}


def test_lines_before_the_first_step_do_not_hide_it(tmp_path):
    log = read(tmp_path, '{"config": {"lr": 0.1}}\n{"step": 1, "loss": 2.0}\n{"epoch": 1, "val": 3.0}\n')
    assert points(log, "loss") == {1: 2.0}
    assert "val" not in log.scalars
    assert log.notes == ("log.jsonl: entries without 'step' left out: 2",)


def test_what_is_no_number_is_left_out_and_named(tmp_path):
    log = read(tmp_path, '{"step": 1, "loss": 2.0, "stage": "train", "done": true, "classes": [1, 2]}\n')
    assert list(log.scalars) == ["loss"]
    assert log.notes == ("log.jsonl: keys without numbers left out: classes, done, stage",)


@pytest.mark.parametrize("tail", ['{"step": 2, "lo', '{"step": 2, "loss": 1.2', "{", "\0\0\0\0", "\xff"])
def test_an_unfinished_last_line_is_left_out_and_told(tmp_path, tail):
    log = read(tmp_path, b'{"step": 1, "loss": 2.0}\n' + tail.encode("latin-1"))
    assert points(log, "loss") == {1: 2.0}
    assert log.notes == ("log.jsonl: unfinished last line left out (byte 25)",)


def test_a_whole_last_line_without_line_end_counts(tmp_path):
    log = read(tmp_path, b'\xef\xbb\xbf{"step": 1, "loss": 2.0}\r\n{"step": 2, "loss": 1.0}')
    assert points(log, "loss") == {1: 2.0, 2: 1.0}
    assert log.notes == ()


def test_the_last_of_a_step_counts_and_is_told(tmp_path):
    lines = [(5, 5.0), (3, 3.0), (5, 55.0)]
    log = read(tmp_path, "".join(f'{{"step": {step}, "loss": {value}}}\n' for step, value in lines))
    assert points(log, "loss") == {3: 3.0, 5: 55.0}
    assert log.notes == (
        "log.jsonl: points logged again at their step with another value: 1; what was logged last counts",
    )


GOOD = '{"step": 0, "loss": 1.0}\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "garbage\n" + GOOD, "the line at byte 25 cannot be read"),
        (GOOD + '{"step": 1, "lo\n' + GOOD, "the line at byte 25 cannot be read"),
        (GOOD + "[1, 2]\n" + GOOD, "at byte 25 cannot be read .an object was expected, not a list"),
        (GOOD.encode() + b'{"step": 1, "\xff": 1}\n' + GOOD.encode(), "at byte 25 cannot be read"),
        (GOOD + '{"step": 0.5, "loss": 1.0}\n', "at byte 25: the step must be a whole number, got 0.5"),
        (GOOD + '{"step": true, "loss": 1.0}\n', "the step must be a whole number, got True"),
        (GOOD + '{"step": 1e300, "loss": 1.0}\n', "the step must be a whole number"),
        (GOOD + '{"step": 1, "loss": "oops"}\n', "at byte 25: 'loss' is no number here, but elsewhere it is"),
        (GOOD + '{"step": 1, "a/b": 1, "a": {"b": 2}}\n', "'a/b' occurs twice"),
        (GOOD + '{"a": ' * 100_000 + "1" + "}" * 100_000 + "\n", "nested too deeply"),
        ('{"loss": 1.0}\n', "no line has a step"),
        ("", "no line has a step"),
    ],
)
def test_bad_files_are_refused_with_the_place(tmp_path, text, message):
    with pytest.raises(RecordError, match=message) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "log.jsonl"))
    assert "\n" not in str(caught.value)


def test_an_integer_beyond_all_floats_is_infinite(tmp_path):
    assert points(read(tmp_path, f'{{"step": 1, "loss": -1{"0" * 400}}}\n'), "loss") == {1: -math.inf}


def test_what_has_no_step_is_no_log(tmp_path):
    (tmp_path / "data.jsonl").write_text('{"text": "step"}\n{"text": "y"}\n')
    (tmp_path / "binary.jsonl").write_bytes(bytes(range(256)))
    assert jsonl_step_key(tmp_path / "data.jsonl") is None
    assert jsonl_step_key(tmp_path / "binary.jsonl") is None
    assert jsonl_step_key(tmp_path / "missing.jsonl") is None
    with pytest.raises(RecordError, match="cannot read"):
        read_jsonl_log(tmp_path / "missing.jsonl")
