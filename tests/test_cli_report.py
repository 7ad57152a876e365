import subprocess
import sys

import numpy as np
import pytest

from stabilimeter.cli import main, report


@pytest.fixture
def logs(tmp_path):
    """Five seeds of main, of which none fails, and of a branch, of which seed 1 ends in NaN."""
    for group, broken in (("main", ()), ("branch", (1,))):
        for seed in range(5):
            rng = np.random.default_rng([seed, len(group)])
            loss = 0.3 + 2 * np.exp(-np.arange(200) / 40) + 0.02 * rng.standard_normal(200)
            val = loss + 0.1
            loss[100:] = np.nan if seed in broken else loss[100:]
            rows = [f"{step},{loss[step]:.5f},{val[step]:.5f}" for step in range(200)]
            (tmp_path / "logs" / group).mkdir(parents=True, exist_ok=True)
            (tmp_path / "logs" / group / f"run_{seed}.csv").write_text("\n".join(["step,loss,val_loss", *rows]) + "\n")
    return tmp_path / "logs"


def exit_of(arguments):
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as left:
        return left.code


def test_one_html_file_and_the_logs_left_as_they_were(logs, tmp_path, capsys):
    before = sorted(logs.rglob("*"))
    out = tmp_path / "report.html"
    assert exit_of(["report", logs, "-o", out]) == 0
    text = out.read_text()
    assert text.startswith("<!doctype html>")
    assert "branch: 4 of 5 seeds trained; run_1 became NaN or infinite at step 100" in text
    assert sorted(logs.rglob("*")) == before
    assert capsys.readouterr() == ("", "")
    assert exit_of(["report", logs, "-o", "-"]) == 0
    assert capsys.readouterr().out.startswith("<!doctype html>")


def test_markdown_goes_to_the_terminal_or_a_file(logs, tmp_path, capsys):
    assert exit_of(["report", logs, "--format", "md"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("# Is logs stable?")
    assert err == ""
    assert exit_of(["report", logs, "--format", "md", "-o", tmp_path / "report.md"]) == 0
    written = (tmp_path / "report.md").read_text()
    assert written.splitlines()[:-1] == out.splitlines()[:-1]  # but for the minute in which it was made


def test_options_reach_the_analysis(logs, capsys):
    assert exit_of(["report", logs, "--format", "md", "--metric", "val_loss", "--mode", "min", "--target", "0.1"]) == 0
    out = capsys.readouterr().out
    assert "none of 5 seeds trained" in out
    assert "target\\_missed" in out


def test_a_baseline_adds_its_section(logs, capsys):
    assert exit_of(["report", logs / "branch", "--baseline", logs / "main", "--format", "md"]) == 0
    assert "*Is it better than the baseline?* Worse: 1 of 5 seeds of the candidate failed" in capsys.readouterr().out
    assert exit_of(["report", logs / "branch", "--format", "md"]) == 0
    assert "baseline" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "LOGS"], "stabilimeter: say where to write the report: -o report.html"),
        (["report", "LOGS/nowhere", "-o", "LOGS/r.html"], "stabilimeter: LOGS/nowhere does not exist"),
        (["report", "LOGS", "-o", "LOGS/no/r.html"], "stabilimeter: cannot write LOGS/no/r.html"),
        (["report", "LOGS", "-o", "LOGS/main"], "stabilimeter: cannot write LOGS/main"),
        (["report", "LOGS", "-o", "LOGS/r.html", "--format", "pdf"], "stabilimeter report: argument --format: invalid"),
        (["report", "LOGS", "-o", "LOGS/r.html", "--metric", "val_los"], "stabilimeter: no run has the metric"),
        (
            ["report", "LOGS/main", "-o", "LOGS/r.html", "--baseline", "LOGS/main"],
            "stabilimeter: 5 of the runs are on both sides",
        ),
        (
            ["report", "LOGS/branch", "-o", "LOGS/r.html", "--baseline", "LOGS/main/run_0.csv"],
            "stabilimeter: baseline has 1 finished seed",
        ),
    ],
)
def test_mistakes_are_one_line_and_exit_with_64(logs, capsys, arguments, message):
    def filled(text):
        return text.replace("LOGS", str(logs))

    assert exit_of([filled(argument) for argument in arguments]) == 64
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith(filled(message))
    assert not (logs / "r.html").exists()


def test_a_file_that_cannot_be_written_is_found_before_the_long_read(logs, monkeypatch):
    def read(*_):
        raise AssertionError("read although the output cannot be written")

    monkeypatch.setattr(report, "read_and_summarize", read)
    assert exit_of(["report", logs, "-o", logs / "no" / "report.html"]) == 64
    with pytest.raises(AssertionError, match="read although"):
        exit_of(["report", logs, "-o", logs / "report.html"])


def test_reporting_imports_nothing_heavy(logs, tmp_path):
    script = (
        "import sys\nfrom stabilimeter.cli import main\n"
        f"main(['report', {str(logs)!r}, '-o', {str(tmp_path / 'report.html')!r}])\n"
        "heavy = ('torch', 'lightning', 'scipy.stats', 'pandas', 'matplotlib', 'tensorboard', 'jinja2')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert (tmp_path / "report.html").stat().st_size > 10_000
