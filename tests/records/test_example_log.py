import numpy as np
import pytest

from stabilimeter.records.example_log import EXAMPLES_FILE, ExampleLog, read_examples, write_examples
from stabilimeter.records.record_error import RecordError


def log(step=9, **columns):
    return ExampleLog(step, 3, np.array([0, 2, (1 << 48) | 5]), **columns)


def test_what_is_written_is_read(tmp_path):
    write_examples(tmp_path, log(correct=np.array([True, False, True]), confidence=np.float32([0.9, 0.2, 0.5])))
    found = read_examples(tmp_path)
    assert (found.step, found.evaluations, found.keys.tolist()) == (9, 3, [0, 2, (1 << 48) | 5])
    assert found.correct.tolist() == [True, False, True]
    assert found.confidence.tolist() == pytest.approx([0.9, 0.2, 0.5])
    assert found.prediction is None
    write_examples(tmp_path, log(step=19))
    assert (read_examples(tmp_path).step, read_examples(tmp_path).correct) == (19, None)
    assert [path.name for path in tmp_path.iterdir()] == [EXAMPLES_FILE]


def test_no_file_no_examples(tmp_path):
    assert read_examples(tmp_path) is None


@pytest.mark.parametrize("damage", [lambda b: b[:-30], lambda b: b"PK nonsense", lambda b: b""])
def test_a_damaged_file_is_named(tmp_path, damage):
    write_examples(tmp_path, log(correct=np.array([True, False, True])))
    path = tmp_path / EXAMPLES_FILE
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(RecordError, match=r"cannot read .*examples\.npz.*move it away"):
        read_examples(tmp_path)


def test_columns_of_other_lengths_are_refused(tmp_path):
    write_examples(tmp_path, log(correct=np.array([True])))
    with pytest.raises(RecordError, match="columns of different lengths"):
        read_examples(tmp_path)
