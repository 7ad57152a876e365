"""JSON that every parser accepts: non-finite numbers are the strings "NaN", "Infinity" and "-Infinity"."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

_NONFINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def dumps(obj: Any, *, indent: int | None = None) -> str:
    """Text of ``obj`` as strict JSON.

    Mappings, lists, tuples, sets, NumPy scalars and arrays are accepted; keys become strings.

    >>> dumps({"loss": float("nan"), "steps": (1, 2)})
    '{"loss": "NaN", "steps": [1, 2]}'

    Raises:
        TypeError: if a value has no JSON form.
    """
    return json.dumps(_plain(obj), allow_nan=False, ensure_ascii=False, indent=indent)


def loads(text: str | bytes) -> Any:
    """Value of a strict JSON text; the three non-finite strings become floats again.

    A text value that happens to read "NaN" therefore comes back as a number; keys are left alone.

    >>> loads('{"loss": "-Infinity"}')
    {'loss': -inf}

    Raises:
        ValueError: if the text is not strict JSON (a bare ``NaN`` is not).
    """
    return _restored(json.loads(text, parse_constant=_refuse))


def _plain(obj: Any) -> Any:
    if obj is None or isinstance(obj, bool | int | str):
        return obj
    if isinstance(obj, float | np.floating):
        value = float(obj)
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(obj, Mapping):
        return {str(key): _plain(value) for key, value in obj.items()}
    if isinstance(obj, set | frozenset):
        return [_plain(item) for item in sorted(obj, key=repr)]
    if isinstance(obj, list | tuple):
        return [_plain(item) for item in obj]
    if isinstance(obj, np.ndarray | np.generic):
        return _plain(obj.tolist())
    raise TypeError(f"{type(obj).__name__} has no JSON form: {obj!r}")


def _restored(obj: Any) -> Any:
    if isinstance(obj, str):
        return _NONFINITE.get(obj, obj)
    if isinstance(obj, dict):
        return {key: _restored(value) for key, value in obj.items()}
    if isinstance(obj, list):
        return [_restored(item) for item in obj]
    return obj


def _refuse(name: str) -> Any:
    raise ValueError(f"bare {name} is not JSON")
