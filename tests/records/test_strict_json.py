import json
import math
from enum import Enum

import numpy as np
import pytest

from stabilimeter.records import strict_json


class Colour(str, Enum):
    RED = "red"


def test_nonfinite_numbers_survive_as_strings_that_any_parser_reads():
    text = strict_json.dumps({"a": math.nan, "b": [math.inf, -math.inf], "c": 1.5})
    assert json.loads(text) == {"a": "NaN", "b": ["Infinity", "-Infinity"], "c": 1.5}
    back = strict_json.loads(text)
    assert math.isnan(back["a"])
    assert back["b"] == [math.inf, -math.inf]


def test_numpy_values_enums_and_containers_become_plain_json():
    values = {
        "i": np.int64(3),
        "f": np.float32(0.5),
        "b": np.bool_(True),
        "n": np.array([[1.0, np.nan]]),
        "e": Colour.RED,
        "s": {2, 1},
        "t": (1, None),
        7: "key",
    }
    assert json.loads(strict_json.dumps(values)) == {
        "i": 3, "f": 0.5, "b": True, "n": [[1.0, "NaN"]], "e": "red", "s": [1, 2], "t": [1, None], "7": "key",
    }  # fmt: skip


def test_float64_survives_bit_for_bit(rng):
    values = rng.normal(size=200) * 10.0 ** rng.integers(-300, 300, 200)
    assert strict_json.loads(strict_json.dumps(values)) == values.tolist()


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a": -Infinity}'])
def test_bare_nonfinite_numbers_are_refused(text):
    with pytest.raises(ValueError, match="is not JSON"):
        strict_json.loads(text)


def test_a_value_without_json_form_is_refused_by_name():
    with pytest.raises(TypeError, match="object has no JSON form"):
        strict_json.dumps({"x": object()})
