import json
import subprocess
import sys

import numpy as np
import pytest

from stabilimeter import compare, read_sweep
from stabilimeter.cli import main

N_STEPS = 200


@pytest.fixture
def logs(tmp_path):
    """Logs of five seeds each: main, a better branch, and a broken one of which two seeds end in NaN."""
    for group, shift, broken in (("main", 0.0, ()), ("branch", -0.05, ()), ("broken", 0.0, (1, 3))):
        for seed in range(5):
            rng = np.random.default_rng([seed, len(group)])
            loss = 0.3 + 2 * np.exp(-np.arange(N_STEPS) / 40) + 0.02 * rng.standard_normal(N_STEPS)
            val = loss[9::10] + 0.1 + shift
            loss[100:] = np.nan if seed in broken else loss[100:]
            lines = [f"{step},{value:.5f}," for step, value in enumerate(loss)]
            for index, value in enumerate(val):
                lines[10 * index + 9] += f"{value:.5f}"
            folder = tmp_path / "logs" / group
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"run_{seed}.csv").write_text("\n".join(["step,loss,val_loss", *lines]) + "\n")
    return tmp_path / "logs"


@pytest.fixture
def checks(tmp_path):
    path = tmp_path / "checks.yaml"
    path.write_text("- {score: val_loss, not_worse_than: baseline, margin: 0.02}\n")
    return str(path)


def exit_of(arguments):
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as left:
        return left.code


def test_the_answer_is_on_the_first_line_and_the_exit_status_is_zero(logs, capsys):
    assert exit_of(["compare", logs / "main", logs / "branch"]) == 0
    out, err = capsys.readouterr()
    assert out.strip().startswith("Better: val_loss is 0.3")
    assert "baseline: main; candidate: branch" in out
    assert err == ""
    assert exit_of(["compare", logs / "main", logs / "broken"]) == 0
    assert capsys.readouterr().out.strip().startswith("Worse: 2 of 5 seeds of the candidate failed, 0 of 5")


def test_json_is_what_the_function_returns(logs, tmp_path, capsys):
    result = compare(
        read_sweep(logs / "main"), read_sweep(logs / "branch"), rng=np.random.default_rng(0), metric="val_loss"
    )
    assert exit_of(["compare", logs / "main", logs / "branch", "--metric", "val_loss", "--json", "-"]) == 0
    out, err = capsys.readouterr()
    plain = json.loads(out)
    assert plain["verdict"] == result.verdict.value == "better"
    assert plain["metrics"]["val_loss"]["p"] == result.metrics["val_loss"].p
    assert plain["metrics"]["val_loss"]["ci"] == list(result.metrics["val_loss"].ci)
    assert plain["sentence"] in " ".join(err.split())
    assert exit_of(["compare", logs / "main", logs / "branch", "--json", tmp_path / "file.json"]) == 0
    assert json.loads((tmp_path / "file.json").read_text())["verdict"] == "better"


def test_options_reach_the_analysis(logs, capsys):
    arguments = ["compare", logs, logs, "--group-by", "parent", "--json", "-"]
    arguments += ["--baseline-group", "main", "--candidate-group", "branch"]
    assert exit_of([*arguments, "--metric", "val_loss", "--mode", "max", "--margin", "0.5", "--target", "0.2"]) == 0
    plain = json.loads(capsys.readouterr().out)
    metric = plain["metrics"]["val_loss"]
    assert plain["labels"] == ["main", "branch"]
    assert (plain["verdict"], metric["answer"], metric["mode"]) == ("worse", "worse", "max")
    assert (metric["margin"], metric["margin_from"]) == (0.5, "given")
    assert exit_of([*arguments, "--target", "0.39"]) == 0
    finals = [
        [run["val_loss"].values[-1] for run in read_sweep(logs / side).groups[0].runs] for side in ("main", "branch")
    ]
    missed = [sum(final > 0.39 for final in own) for own in finals]
    assert missed[0] > missed[1]
    assert json.loads(capsys.readouterr().out)["failures"]["k"] == missed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "LOGS/main"], "stabilimeter compare: the following arguments are required: CANDIDATE_DIR"),
        (["compare", "LOGS/main", "LOGS/nowhere"], "stabilimeter: LOGS/nowhere does not exist"),
        (["compare", "LOGS", "LOGS/main"], "stabilimeter: baseline: 3 groups ('branch', 'broken', 'main'); name one"),
        (["compare", "LOGS/main", "LOGS/main"], "stabilimeter: 5 of the runs are on both sides"),
        (["compare", "LOGS/main", "LOGS/main/run_0.csv"], "stabilimeter: "),
        (
            ["compare", "LOGS/main", "LOGS/branch", "--metric", "val_los"],
            "stabilimeter: baseline: no run has the metric",
        ),
        (["compare", "LOGS/main", "LOGS/branch", "--margin", "0"], "stabilimeter compare: argument --margin: expected"),
        (
            ["gate", "LOGS/branch", "--checks", "CHECKS"],
            "stabilimeter: CHECKS:1: 'not_worse_than: baseline' needs --ba",
        ),
        (
            ["gate", "LOGS/branch", "--checks", "CHECKS", "--baseline", "LOGS"],
            "stabilimeter: 5 of the runs are on both",
        ),
    ],
)
def test_mistakes_are_one_line_and_exit_with_64(logs, checks, capsys, arguments, message):
    def filled(text):
        return text.replace("LOGS", str(logs)).replace("CHECKS", checks)

    assert exit_of([filled(argument) for argument in arguments]) == 64
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith(filled(message))


def test_one_seed_is_refused(logs, tmp_path, capsys):
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "run_0.csv").write_text((logs / "branch" / "run_0.csv").read_text())
    assert exit_of(["compare", logs / "main", alone]) == 64
    assert "candidate has 1 finished seed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("candidate", "baseline", "status", "verdict"),
    [("branch", "main", 0, "pass"), ("main", "branch", 1, "fail"), ("broken", "main", 1, "fail")],
)
def test_a_gate_with_a_baseline(logs, checks, capsys, candidate, baseline, status, verdict):
    arguments = ["gate", logs / candidate, "--baseline", logs / baseline, "--checks", checks]
    assert exit_of([*arguments, "--json", "-"]) == status
    plain = json.loads(capsys.readouterr().out)
    assert plain["verdict"] == verdict
    assert [check["bound"] for check in plain["checks"]] == [
        "not worse than baseline, margin 0.02",
        "not worse than baseline, margin 0",
    ]
    metric, failures = plain["checks"]
    assert metric["low"] < metric["value"] < metric["high"]
    assert failures["verdict"] == ("fail" if candidate == "broken" else "pass")


def test_a_gate_asks_for_more_seeds(logs, tmp_path, capsys):
    few = tmp_path / "few"
    few.mkdir()
    for seed in range(2):
        (few / f"run_{seed}.csv").write_text((logs / "branch" / f"run_{seed}.csv").read_text().replace("0.3", "0.4"))
    strict = tmp_path / "strict.yaml"
    strict.write_text("- {score: val_loss, not_worse_than: baseline, margin: 0.06}\n")
    assert exit_of(["gate", few, "--baseline", logs / "main", "--checks", strict, "--json", "-"]) == 2
    assert json.loads(capsys.readouterr().out)["checks"][0]["n_needed"] >= 3


def test_comparing_imports_nothing_heavy(logs):
    script = (
        "import sys\nfrom stabilimeter.cli import main\n"
        f"main(['compare', {str(logs / 'main')!r}, {str(logs / 'branch')!r}])\n"
        "print([name for name in ('torch', 'lightning', 'scipy.stats', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    assert "Better: val_loss" in done.stdout
