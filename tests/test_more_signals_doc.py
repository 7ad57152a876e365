"""The table of the documentation lists what there is."""

import re
from pathlib import Path

from stabilimeter.callbacks.capture.signal import Signal
from stabilimeter.callbacks.catalogue import CATALOGUE

TEXT = (Path(__file__).parents[1] / "docs" / "more_signals.md").read_text(encoding="utf-8")


def test_names_and_keys_are_those_of_the_catalogue():
    table = TEXT.split("| name | keys |")[1].split("\n\n")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| `")]
    documented = {row[0].strip("| `"): re.findall(r"`([^`]+)`( \(vector\))?", row[1]) for row in rows}
    expected = {
        name: [(s.spec.key, " (vector)" if isinstance(s, Signal) and s.vector else "") for s in signals]
        for name, signals in CATALOGUE.items()
        if name != "default"
    }
    assert documented == expected


def test_every_name_has_a_cost():
    costs = TEXT.split("## Cost")[1]
    assert all(f"`{name}`" in costs for name in CATALOGUE if name != "default")
