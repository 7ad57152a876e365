import io
import json
import os
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from stabilimeter import __version__
from stabilimeter.cli import main
from stabilimeter.records.manifest import Manifest, RunStatus
from stabilimeter.records.writer import RunWriter

N_STEPS = 400


def losses(seed, *, noise=0.02, nan_from=None):
    rng = np.random.default_rng(seed)
    loss = 0.3 + 2 * np.exp(-np.arange(N_STEPS) / 80) + noise * rng.standard_normal(N_STEPS)
    if nan_from is not None:
        loss[nan_from:] = np.nan
    return loss


def write_csv(path, seed, **options):
    loss = losses(seed, **options)
    lines = ["step,loss,val_loss"]
    for step, value in enumerate(loss):
        val = f"{value + 0.1:.6f}" if step % 20 == 19 else ""
        lines.append(f"{step},{value:.6f},{val}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def foreign(tmp_path):
    """Two groups of CSV logs that nobody instrumented; one seed of the second goes to NaN."""
    for seed in range(4):
        write_csv(tmp_path / "logs" / "good" / f"run_{seed}.csv", seed)
        write_csv(tmp_path / "logs" / "bad" / f"run_{seed}.csv", 10 + seed, nan_from=200 if seed == 1 else None)
    return tmp_path / "logs"


@pytest.fixture
def own(tmp_path):
    """A sweep of our own records: three seeds of one configuration."""
    for seed in range(3):
        folder = tmp_path / "sweep" / f"seed={seed}"
        manifest = Manifest(seed=seed, group="g", monitor="val_loss", mode="min", planned_steps=N_STEPS)
        writer = RunWriter(folder, manifest)
        loss = losses(seed)
        steps = np.arange(N_STEPS)
        times = 1.7e9 + steps
        writer.write_block(["train/loss"], steps, loss[:, None], times)
        writer.write_block(["val_loss"], steps[19::20], loss[19::20, None] + 0.1, times[19::20])
        writer.close(RunStatus.COMPLETED, last_step=N_STEPS - 1)
    return tmp_path / "sweep"


def checks(tmp_path, *lines):
    path = tmp_path / "checks.yaml"
    path.write_text("".join(f"- {line}\n" for line in lines))
    return str(path)


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def exit_of(arguments):
    """Exit status, whether it is returned or, by argparse, raised."""
    try:
        return main(arguments)
    except SystemExit as left:
        return left.code


def test_summarize_shows_every_group_and_exits_zero_although_a_seed_failed(foreign, capsys):
    assert main(["summarize", str(foreign)]) == 0
    out, err = capsys.readouterr()
    assert "2 groups, 8 seeds: 1 failed." in out
    assert "run_1  nonfinite:" in out
    assert out.index("  good ") < out.index("  bad ")
    assert "val_loss" in out
    assert err == ""


def test_a_folder_of_other_logs_is_left_untouched(foreign, capsys):
    before = files_in(foreign)
    main(["summarize", str(foreign)])
    assert files_in(foreign) == before
    assert f"stabilimeter summarize {foreign} --tensorboard OUT" in capsys.readouterr().out


def test_json_on_standard_output_is_nothing_but_json(foreign, capsys):
    assert main(["summarize", str(foreign), "--json", "-"]) == 0
    out, err = capsys.readouterr()
    plain = json.loads(out, parse_constant=pytest.fail)
    assert plain["primary_metric"] == "val_loss"
    groups = {group["label"]: group for group in plain["groups"]}
    assert (groups["good"]["n_failed"], groups["bad"]["n_failed"]) == (0, 1)
    finals = [losses(seed)[399] + 0.1 for seed in range(4)]
    assert groups["good"]["metrics"]["val_loss"]["mean"] == pytest.approx(np.mean(finals), abs=1e-6)
    assert groups["good"]["metrics"]["val_loss"]["sd"] == pytest.approx(np.std(finals, ddof=1), abs=1e-6)
    broken = groups["bad"]["runs"][1]["metrics"]["loss"]
    assert (broken["n_points"], broken["n_nonfinite"], broken["final"]) == (N_STEPS, 200, "NaN")
    assert "2 groups, 8 seeds: 1 failed." in err


def test_json_into_a_file(foreign, tmp_path, capsys):
    target = tmp_path / "out.json"
    assert main(["summarize", str(foreign), "--json", str(target)]) == 0
    assert len(json.loads(target.read_text())["groups"]) == 2
    assert "2 groups" in capsys.readouterr().out


def test_bands_are_written_where_asked(foreign, tmp_path, capsys):
    assert main(["summarize", str(foreign), "--tensorboard", str(tmp_path / "bands")]) == 0
    names = [path.name for path in (tmp_path / "bands" / "across_seeds").iterdir() if path.is_dir()]
    assert sorted(names) == ["bad", "good"]
    assert f"tensorboard --logdir {tmp_path / 'bands'}" in capsys.readouterr().out


def test_a_sweep_of_ours_is_refreshed(own, capsys):
    assert main(["summarize", str(own)]) == 0
    out = capsys.readouterr().out
    assert "1 group, 3 seeds: none failed." in out
    assert f"tensorboard --logdir {own}" in out
    written = json.loads((own / "summary.json").read_text())
    assert [run["seed"] for run in written["groups"][0]["runs"]] == [0, 1, 2]
    assert (own / "across_seeds").is_dir()
    first = files_in(own)
    assert main(["summarize", str(own)]) == 0
    assert len(files_in(own)) == len(first)
    assert json.loads((own / "summary.json").read_text()) == written


def test_a_read_only_sweep_is_summarised_with_a_note(own, capsys, monkeypatch):
    def refuse(summary, folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("stabilimeter.present.publish.publish", refuse)
    assert main(["summarize", str(own)]) == 0
    out, err = capsys.readouterr()
    assert "1 group, 3 seeds" in out
    assert err == f"note: {own} was not refreshed: Permission denied\n"
    assert f"stabilimeter summarize {own} --tensorboard OUT" in out


def test_metric_mode_target_and_grouping_reach_the_analysis(foreign, capsys):
    arguments = ["summarize", str(foreign), "--metric", "loss", "--mode", "max", "--target", "5", "--json", "-"]
    assert main(arguments) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["primary_metric"] == "loss"
    assert plain["groups"][0]["metrics"]["loss"]["mode"] == "max"
    reasons = [run["failure_reason"] for group in plain["groups"] for run in group["runs"]]
    assert sum("target_missed" in reason for reason in reasons) >= 7


@pytest.mark.parametrize(("flag", "n_groups"), [("parent", 2), ("config", 1)])
def test_grouping_by_parent_or_configuration(tmp_path, capsys, flag, n_groups):
    for name in ("a", "b"):
        writer = RunWriter(tmp_path / name / "seed=0", Manifest(seed=0, group="same"))
        writer.write_block(["train/loss"], [0, 1], [[1.0], [0.5]], [0.0, 1.0])
        writer.close(RunStatus.COMPLETED, last_step=1)
    assert main(["summarize", str(tmp_path), "--group-by", flag, "--json", "-"]) == 0
    assert len(json.loads(capsys.readouterr().out)["groups"]) == n_groups


@pytest.mark.parametrize(
    ("lines", "status", "verdict"),
    [
        (["{score: failure_rate, max: 0.3}", "{score: val_loss.given_completion, max: 1}"], 0, "pass"),
        (["{score: failure_rate, max: 0}"], 1, "fail"),
        (["{score: stability, min: 60}"], 2, "inconclusive"),
        (["{score: stability, min: 60}", "{score: failure_rate, max: 0}"], 1, "fail"),
    ],
)
def test_the_exit_status_of_a_gate_is_its_verdict(foreign, tmp_path, capsys, lines, status, verdict):
    assert main(["gate", str(foreign), "--checks", checks(tmp_path, *lines)]) == status
    assert f"gate: {verdict} (" in capsys.readouterr().out


def test_a_gate_writes_json_and_junit(foreign, tmp_path, capsys):
    junit = tmp_path / "gate.xml"
    arguments = ["gate", str(foreign), "--checks", checks(tmp_path, "{score: failure_rate, max: 0}")]
    assert main([*arguments, "--json", "-", "--junit", str(junit)]) == 1
    out, err = capsys.readouterr()
    plain = json.loads(out, parse_constant=pytest.fail)
    assert plain["verdict"] == "fail"
    assert {check["group"]: check["verdict"] for check in plain["checks"]} == {"good": "pass", "bad": "fail"}
    assert "gate: fail" in err
    assert ET.parse(junit).getroot().get("failures") == "1"


def test_a_gate_writes_nothing_into_the_sweep(own, tmp_path):
    before = files_in(own)
    main(["gate", str(own), "--checks", checks(tmp_path, "{score: failure_rate, max: 0}")])
    assert files_in(own) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "stabilimeter: the following arguments are required: COMMAND (see stabilimeter --help)"),
        (["sumarize", "LOGS"], "stabilimeter: argument COMMAND: invalid choice: 'sumarize'"),
        (["summarize"], "stabilimeter summarize: the following arguments are required: DIR"),
        (["summarize", "LOGS", "--mode", "up"], "stabilimeter summarize: argument --mode: invalid choice: 'up'"),
        (["summarize", "LOGS", "--target", "x"], "argument --target: expected a finite number, got 'x'"),
        (["summarize", "LOGS", "--target", "nan"], "argument --target: expected a finite number, got 'nan'"),
        (["summarize", "LOGS", "--met", "loss"], "unrecognized arguments: --met loss"),
        (["summarize", "NOWHERE"], "stabilimeter: NOWHERE does not exist; give a folder with runs"),
        (["summarize", "EMPTY"], "stabilimeter: no run in EMPTY"),
        (["summarize", "LOGS", "--metric", "nope"], "stabilimeter: no run has the metric 'nope'; there are: loss"),
        (["summarize", "LOGS", "--json", "NOWHERE/x.json"], "stabilimeter: cannot write NOWHERE/x.json"),
        (["summarize", "LOGS", "--json", "EMPTY"], "stabilimeter: cannot write EMPTY"),
        (["summarize", "LOGS", "--tensorboard", "FILE"], "stabilimeter: cannot write TensorBoard runs below FILE"),
        (["gate", "LOGS"], "stabilimeter gate: the following arguments are required: --checks"),
        (["gate", "LOGS", "--checks", "NOWHERE"], "stabilimeter: cannot read checks file NOWHERE"),
        (["gate", "LOGS", "--checks", "FILE"], "stabilimeter: FILE: expected a list of checks"),
        (["gate", "LOGS", "--checks", "WRONG"], "stabilimeter: WRONG:1: unknown score 'val_los'; there are: val_loss"),
    ],
)
def test_mistakes_are_one_line_and_exit_with_64(foreign, tmp_path, capsys, arguments, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("text")
    wrong = checks(tmp_path, "{score: val_los, max: 1}")
    places = {"LOGS": foreign, "EMPTY": tmp_path / "empty", "FILE": tmp_path / "file", "NOWHERE": tmp_path / "nowhere"}

    def placed(text):
        for name, path in (places | {"WRONG": wrong}).items():
            text = text.replace(name, str(path))
        return text

    assert exit_of([placed(argument) for argument in arguments]) == 64
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert placed(message) in err


def test_a_target_without_a_metric_is_a_mistake(tmp_path, capsys):
    for seed in range(3):
        path = tmp_path / f"{seed}.csv"
        path.write_text("step,loss\n" + "".join(f"{step},{1 / (1 + step)}\n" for step in range(9)))
    assert main(["summarize", str(tmp_path), "--target", "1"]) == 64
    assert "--metric TAG" in capsys.readouterr().err


def test_a_corrupt_log_names_the_file(tmp_path, capsys):
    path = tmp_path / "0.csv"
    path.write_text("step,loss\n0,1.0\n1,oops\n")
    assert main(["summarize", str(tmp_path)]) == 64
    err = capsys.readouterr().err
    assert str(path) in err
    assert "oops" in err


@pytest.mark.parametrize("arguments", [["--help"], ["summarize", "--help"], ["gate", "--help"]])
def test_help_has_examples_and_the_exit_status(arguments, capsys):
    assert exit_of(arguments) == 0
    out = capsys.readouterr().out
    assert "stabilimeter summarize multirun" in out or "exit status: 0 pass, 1 fail, 2 inconclusive" in out


def test_version(capsys):
    assert exit_of(["--version"]) == 0
    assert capsys.readouterr().out == f"stabilimeter {__version__}\n"


def test_an_encoding_without_the_plus_minus_sign_is_no_reason_to_stop(foreign, monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["summarize", str(foreign)]) == 0
    out.seek(0)
    assert "mean ? 95 %" in out.read()


def run_cli(*arguments, **options):
    command = [sys.executable, "-m", "stabilimeter.cli", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_as_a_program(foreign, tmp_path):
    with run_cli("gate", str(foreign), "--checks", checks(tmp_path, "{score: failure_rate, max: 0}")) as process:
        out, err = process.communicate()
    assert process.returncode == 1
    assert "gate: fail" in out
    assert err == ""


@pytest.mark.skipif(os.name != "posix", reason="pipes and signals as POSIX has them")
def test_a_reader_that_goes_away_is_no_pass_and_no_traceback(foreign, tmp_path):
    with run_cli("gate", str(foreign), "--checks", checks(tmp_path, "{score: failure_rate, max: 1}")) as process:
        process.stdout.close()
        err = process.stderr.read()
        process.wait()
    assert process.returncode == 141
    assert err == ""


@pytest.mark.skipif(os.name != "posix", reason="pipes and signals as POSIX has them")
def test_ctrl_c_is_quiet():
    code = """
import sys, time
from stabilimeter.cli import program

def wait(arguments):
    print("waiting", flush=True)
    time.sleep(60)

program.summarize._run = wait
sys.exit(program.main(["summarize", "anything"]))
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"waiting\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert process.returncode == 130
    assert err == b""


def test_watching_a_sweep_that_has_ended_prints_and_writes_its_summary_once(own, tmp_path, capsys):
    for path in own.rglob("*"):
        os.utime(path, (1.7e9, 1.7e9))
    target = tmp_path / "out.json"
    assert main(["summarize", str(own), "--watch", "--json", str(target)]) == 0
    out = capsys.readouterr().out
    main(["summarize", str(own)])
    assert out == capsys.readouterr().out
    assert target.read_text() == (own / "summary.json").read_text()


def test_ctrl_c_is_the_usual_end_of_a_watch(foreign):
    command = [sys.executable, "-m", "stabilimeter.cli", "summarize", str(foreign), "--watch", "0.1"]
    watching = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    first = [watching.stdout.readline() for _ in range(3)]
    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=60)
    assert watching.returncode == 0
    assert "2 groups, 8 seeds: 1 failed." in "".join(first)
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--watch", "--json", "-"], "give --json a file"),
        (["--watch", "0"], "expected seconds above 0, got '0'"),
        (["--watch", "DIR"], "give DIR before --watch"),
    ],
)
def test_a_watch_that_makes_no_sense_is_refused(foreign, arguments, message, capsys):
    assert exit_of(["summarize", str(foreign), *arguments]) == 64
    out, err = capsys.readouterr()
    assert message in err
    assert (out, err.count("\n")) == ("", 1)


def test_a_watch_for_a_metric_that_never_came_ends_with_an_error(own, capsys):
    for path in own.rglob("*"):
        os.utime(path, (1.7e9, 1.7e9))
    assert main(["summarize", str(own), "--watch", "--metric", "val/f1"]) == 64
    assert "no run has the metric 'val/f1'" in capsys.readouterr().err
