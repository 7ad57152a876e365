import pytest

from stabilimeter.present.checks import Check, CheckError, read_checks
from stabilimeter.stats.stability import HalfPoints, Weights


@pytest.fixture
def file(tmp_path):
    return tmp_path / "checks.yaml"


def test_a_file_of_checks_is_read_with_its_lines(file):
    file.write_text(
        "# bounds\n"
        "- {score: stability.given_completion, min: 60}\n"
        "\n"
        "- score: val/accuracy\n"
        "  min: 0.95\n"
        "- {score: spike_rate, max: 1e-3}\n"
    )
    assert read_checks(file).checks == [
        Check("stability.given_completion", "min", 60.0, f"{file}:2"),
        Check("val/accuracy", "min", 0.95, f"{file}:4"),
        Check("spike_rate", "max", 0.001, f"{file}:6"),
    ]


def test_margins_against_a_baseline(file):
    file.write_text(
        "- {score: val/accuracy, not_worse_than: baseline, margin: 1e-2}\n"
        "- {score: failure_rate, not_worse_than: baseline, margin: 0}\n"
    )
    first, second = read_checks(file).checks
    assert first == Check("val/accuracy", "margin", 0.01, f"{file}:1")
    assert first.bound == "not worse than baseline, margin 0.01"
    assert second == Check("failure_rate", "margin", 0.0, f"{file}:2")


MARGIN_WANTED = (
    "FILE:1: a check against a baseline has score, not_worse_than and margin, "
    "such as '- {score: val/accuracy, not_worse_than: baseline, margin: 0.01}'"
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "FILE: expected a list of checks, one or more lines such as '- {score: failure_rate, max: 0}'"),
        ("[]", "FILE: expected a list of checks, one or more lines such as '- {score: failure_rate, max: 0}'"),
        ("score: x", "FILE: expected a list of checks, one or more lines such as '- {score: failure_rate, max: 0}'"),
        ("- {score: a, max: 0}\n- {score: b, max: 0", "FILE:2: not YAML: expected ',' or '}', but got '<stream end>'"),
        ("- {score: a, max: 0}\n\x00", "FILE: not YAML: a character that YAML does not allow"),
        (
            "- {score: a, max: 0}\n- failure_rate",
            "FILE:2: a check is a mapping such as '- {score: failure_rate, max: 0}'",
        ),
        ("- {max: 0}", "FILE:1: 'score' is missing; write for example '- {score: failure_rate, max: 0}'"),
        ("- {score: 5, max: 0}", "FILE:1: 'score' must be the name of a score or metric, got 5"),
        ("- {score: [a], max: 0}", "FILE:1: 'score' must be the name of a score or metric, got a list"),
        ("- {score: , max: 0}", "FILE:1: 'score' must be the name of a score or metric, got nothing"),
        ("- {score: a}", "FILE:1: a check has either min or max, got neither; use one line per bound"),
        ("- {score: a, min: 0, max: 1}", "FILE:1: a check has either min or max, got both; use one line per bound"),
        ("- {score: a, max: '0'}", "FILE:1: 'max' must be a finite number, got '0'"),
        ("- {score: a, max: high}", "FILE:1: 'max' must be a finite number, got high"),
        ("- {score: a, max: true}", "FILE:1: 'max' must be a finite number, got true"),
        ("- {score: a, max: .nan}", "FILE:1: 'max' must be a finite number, got .nan"),
        ("- {score: a, max: .inf}", "FILE:1: 'max' must be a finite number, got .inf"),
        ("- {score: a, min: }", "FILE:1: 'min' must be a finite number, got nothing"),
        ("- {score: a, max: {b: 1}}", "FILE:1: 'max' must be a finite number, got a mapping"),
        ("- {score: a, max: 0, max: 1}", "FILE:1: 'max' is given twice"),
        (
            "- {score: a, maximum: 0}",
            "FILE:1: unknown key 'maximum'; a check has: score, and min, max or (not_worse_than, margin)",
        ),
        ("- {score: a, not_worse_than: baseline}", MARGIN_WANTED),
        ("- {score: a, margin: 0.01}", MARGIN_WANTED),
        ("- {score: a, not_worse_than: baseline, margin: 0.01, min: 3}", MARGIN_WANTED),
        ("- {score: a, not_worse_than: main, margin: 0.01}", "FILE:1: 'not_worse_than' must be 'baseline', got main"),
        ("- {score: a, not_worse_than: [b], margin: 1}", "FILE:1: 'not_worse_than' must be 'baseline', got a list"),
        ("- {score: a, not_worse_than: baseline, margin: big}", "FILE:1: 'margin' must be a finite number, got big"),
        (
            "- {score: a, not_worse_than: baseline, margin: 0}",
            "FILE:1: 'margin' must be above 0 (0 or more for failure_rate), got 0",
        ),
        (
            "- {score: failure_rate, not_worse_than: baseline, margin: -0.1}",
            "FILE:1: 'margin' must be above 0 (0 or more for failure_rate), got -0.1",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_file_and_line(file, text, message):
    file.write_text(text)
    with pytest.raises(CheckError) as caught:
        read_checks(file)
    assert str(caught.value) == message.replace("FILE", str(file))


def test_files_that_cannot_be_read(tmp_path, file):
    with pytest.raises(CheckError, match=r"cannot read checks file .*nowhere\.yaml: No such file or directory"):
        read_checks(tmp_path / "nowhere.yaml")
    file.write_bytes(b"\xff\xfe- a")
    with pytest.raises(CheckError, match="not UTF-8 text"):
        read_checks(file)


def test_bounds_include_their_limit_and_never_nan():
    assert Check("a", "max", 0.0, "").respects(0.0)
    assert not Check("a", "max", 0.0, "").respects(1e-12)
    assert Check("a", "min", 60.0, "").respects(60.0)
    assert not Check("a", "min", 60.0, "").respects(59.999)
    assert not any(Check("a", side, 0.0, "").respects(float("nan")) for side in ("min", "max"))
    assert Check("a", "max", 0.001, "").bound == "max 0.001"


def test_conventions_of_one_s_own(file):
    file.write_text(
        "- {half_points: {noise: 0.1, seed_spread: 1e-2}}\n"
        "- {score: stability, min: 60}\n"
        "- {weights: {regression: 2}}\n"
    )
    found = read_checks(file)
    assert [check.where for check in found.checks] == [f"{file}:2"]
    assert found.half_points == HalfPoints(noise=0.1, seed_spread=0.01, weights=Weights(regression=2.0))
    assert found.half_points.changes == (
        "half marks for noise 0.1 instead of 0.05",
        "half marks for seed_spread 0.01 instead of 0.05",
        "weight of regression 2 instead of 1",
    )


def test_without_them_the_published_ones_hold(file):
    file.write_text("- {score: stability, min: 60}\n")
    assert read_checks(file).half_points == HalfPoints()
    assert HalfPoints().changes == ()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "{half_points: {nois: 0.1}}",
            "FILE:1: 'nois' in half_points is unknown; there are: spikes, noise, regression",
        ),
        ("{half_points: {noise: 0}}", "FILE:1: 'noise' in half_points must be above 0, got 0"),
        ("{half_points: 0.1}", r"FILE:1: 'half_points' must be a mapping such as \{noise: 0.1\}, got 0.1"),
        ("{weights: {noise: many}}", "FILE:1: 'noise' must be a finite number, got many"),
        ("{weights: {noise: 1}, score: noise}", "FILE:1: 'score' beside conventions; give it a line of its own"),
        ("{weights: {noise: 1, noise: 2}}", "FILE:1: 'noise' in weights is given twice"),
    ],
)
def test_wrong_conventions_are_explained(file, line, message):
    file.write_text(f"- {line}\n- {{score: stability, min: 60}}\n")
    with pytest.raises(CheckError, match=message.replace("FILE", str(file))):
        read_checks(file)


def test_conventions_alone_check_nothing(file):
    file.write_text("- {half_points: {noise: 0.1}}\n")
    with pytest.raises(CheckError, match="expected a check beside the conventions"):
        read_checks(file)
