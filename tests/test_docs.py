"""Figures in the documentation that come from the code."""

import re
from dataclasses import fields
from pathlib import Path

import yaml

from stabilimeter.present.checks import read_checks
from stabilimeter.stats.intervals import wilson_interval
from stabilimeter.stats.stability import HalfPoints, Weights, credit

SCORE = (Path(__file__).parents[1] / "docs" / "score.md").read_text(encoding="utf-8")


def test_half_points_are_those_of_the_code():
    half = HalfPoints()
    table = dict(re.findall(r"^\| ([\w ]+) \| .* \| (0\.\d+) \|$", SCORE, flags=re.MULTILINE))
    assert {name: float(value) for name, value in table.items()} == {
        "loss spikes": half.spikes,
        "noise": half.noise,
        "worse checkpoints": half.regression,
    }
    assert f"half marks at {half.seed_spread}" in SCORE
    assert f"have a version, at present {half.version}." in SCORE
    assert {getattr(Weights(), item.name) for item in fields(Weights)} == {1.0}
    assert Weights().within == 0.75


def test_what_few_seeds_can_promise():
    limits = [f"{100 * wilson_interval(n, n)[0]:.0f}" for n in (5, 10, 20)]
    assert "57 at five seeds, 72 at ten, 84 at twenty" in SCORE
    assert limits == ["57", "72", "84"]
    assert f"earns {100 * credit(0.004, 0.001):.0f} and {100 * credit(0.0003, 0.001):.0f} % of the credit" in SCORE


def test_the_checks_file_in_it_can_be_read(tmp_path):
    (block,) = re.findall(r"```yaml\n(.*?)```", SCORE, flags=re.DOTALL)
    path = tmp_path / "checks.yaml"
    path.write_text(block, encoding="utf-8")
    assert yaml.safe_load(block)
    assert len(read_checks(path).half_points.changes) == 3
