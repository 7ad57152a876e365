import math
from dataclasses import replace

import pytest

from stabilimeter.present.wording import (
    better_when,
    incident_in_words,
    interval,
    mean_and_interval,
    number,
    printable,
    size_in_noise,
)
from stabilimeter.stats.incident import Incident, Kind


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.97, "0.9700"),
        (0.00012345, "0.0001234"),
        (0.000012345, "1.234e-05"),
        (1234.56, "1235"),
        (12345678.0, "1.235e+07"),
        (-2.5, "-2.500"),
        (0.0, "0"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (math.nan, "NaN"),
        (None, "-"),
    ],
)
def test_numbers_have_four_significant_digits(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("mean", "margin", "text"),
    [
        (0.97123, 0.00412, "0.9712 ± 0.0041"),
        (30.889, 0.069, "30.889 ± 0.069"),
        (12.0, 3.4567, "12.0 ± 3.5"),
        (512.3, 45.6, "512 ± 46"),
        (3.28, 0.000517, "3.28000 ± 0.00052"),
    ],
)
def test_a_mean_is_rounded_to_two_digits_of_its_margin(build, mean, margin, text):
    assert mean_and_interval(build.metric(mean=mean, margin=margin)) == text


def test_a_mean_without_spread_an_interval_or_seeds(build):
    assert mean_and_interval(build.metric(mean=0.001, margin=0.0, method="equal")) == "0.001000 in all 5"
    assert mean_and_interval(build.metric(n=2)) == "0.9712"
    assert mean_and_interval(replace(build.metric(n=0), mean=None)) == "-"


def test_an_interval_that_is_not_symmetric_is_written_out(build):
    assert mean_and_interval(build.metric(ci=(0.96, 0.975), mean=0.97)) == "0.9700 [0.9600, 0.9750]"


def test_an_interval_with_one_unknown_limit_is_unknown():
    assert interval(54.4, 95.6) == "[54, 96]"
    assert interval(None, 95.6) == "-"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"kind": Kind.SPIKE}, "spiked to 9.10, 2.00 expected (28 x noise)"),
        ({"kind": Kind.SPIKE, "scale": math.nan}, "spiked to 9.10, 2.00 expected"),
        ({"kind": Kind.SPIKE, "scale": 0.0}, "spiked to 9.10, 2.00 expected"),
        ({"kind": Kind.SPIKE, "baseline": math.nan}, "spiked to 9.10"),
        ({"kind": Kind.SPIKE, "value": 1e9}, "spiked to 1.00e+09, 2.00 expected (over 10,000 x noise)"),
        ({"kind": Kind.NONFINITE, "value": math.inf}, "became inf"),
        ({"kind": Kind.NONFINITE, "value": math.nan, "end_step": 319}, "became NaN for 10 steps"),
        (
            {"kind": Kind.EXCURSION, "end_step": 329},
            "was off for 20 steps, as far as 9.10, 2.00 expected (28 x noise)",
        ),
        ({"kind": Kind.SHIFT}, "moved to a new level, as far as 9.10, 2.00 expected (28 x noise)"),
        ({"kind": Kind.DIVERGENCE}, "diverged, as far as 9.10, 2.00 expected (28 x noise)"),
        ({"kind": Kind.COLLAPSE, "value": 0.1}, "collapsed to 0.100, 2.00 expected (7.6 x noise)"),
    ],
)
def test_every_kind_of_incident_has_words(build, changes, text):
    assert incident_in_words(build.incident(**{"scale": 0.25, "value": 9.1, **changes})) == text


def test_size_is_the_distance_in_noise(build):
    assert size_in_noise(build.incident(value=9.0, scale=0.5)) == 14.0
    assert size_in_noise(build.incident(value=math.nan)) == math.inf
    assert size_in_noise(build.incident(scale=0.0)) == math.inf
    assert math.isnan(size_in_noise(build.incident(scale=math.nan)))


def test_control_characters_do_not_reach_a_terminal():
    assert printable("\x1b]0;owned\x07loss\n") == "?]0;owned?loss?"
    assert printable("loss/Größe[0]") == "loss/Größe[0]"


def test_directions():
    assert [better_when(mode) for mode in ("min", "max", None)] == ["low is good", "high is good", ""]


@pytest.mark.parametrize(
    ("action", "evidence", "end_step", "words"),
    [
        ("skip", {}, 7, "(SpikeGuard skipped the step): train/loss was 9.00, 1.00 expected"),
        ("skip", {}, 9, "(SpikeGuard skipped the step, 3 times in a row): train/loss was 9.00, 1.00 expected"),
        (
            "rollback",
            {"restored_step": 5},
            7,
            "(SpikeGuard skipped the step and went back to the state after step 5): train/loss was 9.00, 1.00 expected",
        ),
        ("warn", {}, 7, "(SpikeGuard warned only): train/loss was 9.00, 1.00 expected"),
    ],
)
def test_what_a_guard_did_is_told_as_an_action(action, evidence, end_step, words):
    evidence = {"action": action, "series": "train/loss", **evidence}
    incident = Incident(Kind.SPIKE, 7, end_step, 9.0, 1.0, 0.1, f"guard/{action}", evidence=evidence)
    assert incident_in_words(incident) == words


def test_a_jump_of_the_learning_rate_is_told_with_what_followed():
    spike = Incident(Kind.SPIKE, 7, 7, 9.0, 1.0, 0.1)
    jump = {"step": 6, "before": 0.001, "after": 0.01}
    assert incident_in_words(spike) == "spiked to 9.00, 1.00 expected (80 x noise)"
    told = incident_in_words(replace(spike, evidence={"learning_rate_jump": jump}))
    assert told == "spiked to 9.00, 1.00 expected (80 x noise), after the learning rate was raised from 0.001 to 0.01"
