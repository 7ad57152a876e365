"""Points from JSON objects, each of which holds a step and what was logged at it.

Nested objects are flattened with ``/``. ``null`` is 'not logged'. NaN and infinity are values, written bare (as Python
does) or as text. A key whose values are never numbers is no metric and is left out, an object without a step too.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from stabilimeter.records.record_error import RecordError
from stabilimeter.records.scalar_log import LoggedPoints, ScalarLog
from stabilimeter.records.step_name import whole_step

_NONFINITE = {
    sign + text: factor * number
    for text, number in (("nan", math.nan), ("inf", math.inf), ("infinity", math.inf))
    for sign, factor in (("", 1.0), ("+", 1.0), ("-", -1.0))
}


def flat_object(item: Any) -> dict[str, Any]:
    """A parsed JSON object without nesting.

    >>> flat_object({"step": 1, "val": {"loss": 0.5}})
    {'step': 1, 'val/loss': 0.5}

    Raises:
        ValueError: if it is no object, or holds a key twice.
    """
    if not isinstance(item, dict):
        raise ValueError(f"an object was expected, not a {type(item).__name__}")
    if dict not in map(type, item.values()):
        return item
    flat: dict[str, Any] = {}
    for key, value in _leaves(item, ""):
        if key in flat:
            raise ValueError(f"{key!r} occurs twice")
        flat[key] = value
    return flat


class JsonPoints:
    """Points by key, in the order in which they were logged.

    Args:
        path: The file that is read.
        key_of_step: The key that holds the step.
    """

    def __init__(self, path: Path, key_of_step: str) -> None:
        self._path = path
        self._key_of_step = key_of_step
        self._points = LoggedPoints()
        self._numeric: set[str] = set()
        self._texts: dict[str, str] = {}
        self._without_step = 0

    def add(self, flat: Mapping[str, Any], place: str) -> None:
        """The numbers of the next object.

        Args:
            flat: The object, without nesting.
            place: Where in the file it is, for errors.

        Raises:
            RecordError: if its step is no whole number.
        """
        given = flat.get(self._key_of_step)
        if given is None:
            self._without_step += bool(flat)
            return
        step = whole_step(given)
        if step is None:
            raise RecordError(f"{self._path}: {place}: the step must be a whole number, got {given!r}")
        for key, value in flat.items():
            if key == self._key_of_step or value is None:
                continue
            number = _number(value)
            if number is None:
                self._texts.setdefault(key, place)
            else:
                self._numeric.add(key)
                self._points.add(key, step, number)

    def log(self, notes: Iterable[str] = ()) -> ScalarLog:
        """Everything that was added.

        Raises:
            RecordError: if a key held a number in one object and something else in another.
        """
        name = self._path.name
        for key, place in self._texts.items():
            if key in self._numeric:
                raise RecordError(f"{self._path}: {place}: {key!r} is no number here, but elsewhere it is")
        said = list(notes)
        if self._texts:
            said.append(f"{name}: keys without numbers left out: {', '.join(sorted(self._texts))}")
        if self._without_step:
            said.append(f"{name}: entries without {self._key_of_step!r} left out: {self._without_step}")
        return self._points.log(name, said)


def _leaves(item: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in item.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}/")
        else:
            yield prefix + key, value


def _number(value: Any) -> float | None:
    if type(value) is float:
        return value
    if isinstance(value, str):
        return _NONFINITE.get(value.strip().lower())
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:  # an integer of more than 308 digits
        return math.inf if value > 0 else -math.inf
