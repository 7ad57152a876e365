import io
from dataclasses import replace
from pathlib import Path

import pytest

from stabilimeter.present.checks import Check
from stabilimeter.present.gate import gate
from stabilimeter.present.sparkline import BLOCKS
from stabilimeter.present.terminal import render, render_gate, show, to_text
from stabilimeter.stats.stability import HalfPoints

FOLDER = Path("multi run/digits")


def text_of(summary, width=100, **options):
    return to_text(render(summary, FOLDER, **options), width)


def test_one_group_as_a_reader_sees_it(build):
    text = text_of(build.summary(build.group("digits_cnn")), tensorboard_dir=FOLDER)
    assert (
        text
        == """
1 group, 5 seeds: none failed. Stability 88.2 of 100 (95 % interval 54 to 96).

              stability      95 %   if seed  seeds   val/accuracy
  group        0 to 100  interval  finishes  ok      high is good
  digits_cnn       88.2  [54, 96]  [81, 93]  5 of 5  0.9712 ± 0.0040
  The 95 % interval allows for failures that nobody has seen yet, so it is wide with few seeds; 'if
  seed finishes' leaves that risk out.

Mean over seeds, from first to last step
  series        first                              last
  val/accuracy      0  ▁▁▃▄▅▅▆▆▆▇▇▇████████████  0.9776
  train/loss        0  ▁▁▃▄▅▅▆▆▆▇▇▇████████████  0.9776
  Each curve has a scale of its own, set by what follows the first of its blocks.

Where the points went, of 100
  failed    loss   loss        worse    seed
   seeds  spikes  noise  checkpoints  spread
     0.0     3.1    4.0          3.2     1.5
  Half marks (conventions, version 1): a loss spike in 0.001 of the steps; of the progress from
  start to end, noise 0.05, worse checkpoints 0.1, seed spread 0.05.

Final value of the metrics over seeds
  metric            mean ± 95 %      sd  median     min     max  n
  val/accuracy  0.9712 ± 0.0040  0.0032  0.9712  0.9662  0.9752  5

Next
  curves and bands  tensorboard --logdir 'multi run/digits'
  pass or fail      stabilimeter gate 'multi run/digits' --checks FILE.yaml

"""
    )


def test_two_groups_are_compared_in_the_first_sentence(build):
    text = text_of(build.summary(build.group("x.lr=0.1,x.n=1"), build.failed("x.lr=1.0,x.n=1")))
    first = " ".join(text.split("\n\n")[0].split())
    assert first == (
        "2 groups, 8 seeds: 2 failed. Most stable: lr=0.1, 88.2 of 100 (95 % interval 54 to 96). "
        "Least: lr=1.0, 20.0 of 100 (no interval). All groups: x.n=1"
    )
    assert "lr=1.0  seeds 0, 1  nonfinite: train/loss is NaN from step 412" in text


def test_a_score_that_may_flatter_is_never_the_most_stable(build):
    good = build.group("good", stability=build.stability(score=60.0))
    flattered = build.group("flattered", stability=build.stability(score=95.0, not_measured=("regression",)))
    low = build.group("low", stability=build.stability(5.0, None, None, not_measured=("seed_spread",)))
    text = " ".join(text_of(build.summary(flattered, low, good)).split())
    assert "Most stable: good, 60.0 of 100 (95 % interval 54 to 96). Least: low, 5.0* of 100 (no interval). " in text
    text = text_of(build.summary(flattered, good))
    assert "Most stable: good, 60.0 of 100" in text
    assert "Least:" not in text


def test_running_seeds_and_a_missing_score_are_said_at_once(build):
    running = replace(build.run(3), status="running")
    group = build.group(n=4, n_running=1, runs=(*(build.run(i) for i in range(3)), running))
    assert "none failed, 1 still running, so figures will change." in text_of(build.summary(group))
    undefined = build.stability(None, None, None, given_completion=None, points_lost={}, reason="too short")
    text = text_of(build.summary(build.group(stability=undefined)))
    assert "No stability score; the reason is under Notes." in text
    assert "too short" in text


def test_all_failed_and_a_single_seed(build):
    all_failed = build.stability(
        0.0, None, None, given_completion=None, points_lost={"failures": 100.0}, reason="no seed completed"
    )
    text = text_of(build.summary(build.failed(n=5, n_failed=5, stability=all_failed)))
    assert "1 group, 5 seeds: 5 failed. Stability 0.0 of 100 (no interval)." in text
    assert "0 of 5" in text
    one = build.stability(88.0, None, None, given_completion=None, reason="no interval: 1 measured seed, 3 needed")
    text = text_of(build.summary(build.group(n=1, stability=one)))
    assert "1 group, 1 seed: none failed." in text
    assert "no interval: 1 measured seed, 3 needed" in text


@pytest.mark.parametrize("width", [80, 100])
def test_no_line_but_a_command_is_wider_than_asked_and_no_number_is_cut(build, width):
    long = "n28_t1-2026-04-22-MuddFormer-baseline-s1430"
    groups = [build.group(f"{long}-{i}") for i in range(30)] + [build.failed(f"{long}-failed", n=5, n_failed=4)]
    text = text_of(build.summary(*groups, notes=("word " * 60,)), width)
    wide = [line for line in text.splitlines() if len(line) > width]
    assert all("stabilimeter" in line for line in wide)
    assert text.count("0.9712 ± 0.0040") == 31


def test_commands_are_never_broken(build):
    folder = Path("/a" * 80)
    text = to_text(render(build.summary(), folder, folder), 80)
    assert f"tensorboard --logdir {folder}\n" in text


@pytest.mark.parametrize(("n_groups", "shown"), [(6, "/data"), (7, "/data/across_seeds")])
def test_more_runs_than_tensorboard_ticks_are_shown_by_their_bands(build, n_groups, shown):
    groups = [build.group(f"g{i}") for i in range(n_groups)]  # 5 seeds and a summary run each, and the overview
    text = to_text(render(build.summary(*groups), FOLDER, Path("/data")))
    assert f"tensorboard --logdir {shown}\n" in text


def test_without_bands_on_disk_the_next_command_writes_them(build):
    assert "stabilimeter summarize 'multi run/digits' --tensorboard OUT" in text_of(build.summary())


def test_a_pipe_gets_no_escape_codes_and_hostile_text_is_harmless(build, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    out = io.StringIO()
    show(render(build.summary(build.group("[red]x[/red]\x1b[2J :smile:")), FOLDER), out)
    assert "\x1b" not in out.getvalue()
    assert "[red]x[/red]?[2J :smile:" in out.getvalue()
    assert max(map(len, out.getvalue().splitlines())) <= 100


@pytest.mark.parametrize(("encoding", "n_blocks"), [("utf-8", 2 * 24), ("latin-1", 0), ("ascii", 0)])
def test_curves_are_left_out_where_the_stream_has_no_blocks(build, encoding, n_blocks):
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    show(render(build.summary(), FOLDER), out)
    out.seek(0)
    text = out.read()
    assert sum(character in BLOCKS for character in text) == n_blocks
    assert ("Mean over seeds, from first" in text) is (n_blocks > 0)
    assert "Where the points went" in text


@pytest.mark.parametrize(("encoding", "n_blocks"), [("utf-8", 2 * 24), ("latin-1", 0)])
def test_so_it_is_on_a_terminal(build, monkeypatch, encoding, n_blocks):
    class Terminal(io.TextIOWrapper):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm-256color")
    out = Terminal(io.BytesIO(), encoding=encoding, errors="replace")
    show(render(build.summary(), FOLDER), out)
    out.seek(0)
    assert sum(character in BLOCKS for character in out.read()) == n_blocks


def test_a_terminal_gets_colour(build, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "90")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    long = Path("/a" * 80)
    show(render(build.summary(build.failed()), long, long), out)
    assert "\x1b[1;31m2 failed" in out.getvalue()
    assert f"tensorboard --logdir {long}\n" in out.getvalue()


def test_a_gate_is_one_line_per_check_and_an_answer(build):
    checks = [Check("failure_rate", "max", 0, "f:1"), Check("stability", "min", 50, "f:2")]
    result = gate(build.summary(build.group("m.lr=0.1"), build.failed("m.lr=1.0")), checks)
    assert (
        to_text(render_gate(result), 80)
        == """\
lr=0.1
  pass          failure_rate max 0  0 [0, 0.430]
  pass          stability min 50    88.20 [54.0, 96.0]
lr=1.0
  fail          failure_rate max 0  0.6667 [0.200, 0.940]  \
2 of 3 seeds failed: seeds 0, 1 (nonfinite: train/loss is NaN from step 412)
  inconclusive  stability min 50    20.00                  1 seed finished: an interval needs 3
gate: fail (2 pass, 1 fail, 1 inconclusive)
"""
    )


def test_a_gate_on_one_group_needs_no_heading(build):
    result = gate(build.summary(build.group("only")), [Check("stability", "min", 50, "f:1")])
    assert to_text(render_gate(result)) == (
        "  pass          stability min 50  88.20 [54.0, 96.0]\ngate: pass (1 pass)\n"
    )


def test_a_gate_by_other_conventions_says_so(build):
    summary = replace(build.summary(build.group()), half_points=HalfPoints(noise=0.1))
    text = to_text(render_gate(gate(summary, [Check("stability", "min", 50.0, "checks.yaml:1")])))
    assert "scores by conventions of your own: half marks for noise 0.1 instead of 0.05" in text
    usual = to_text(render_gate(gate(build.summary(build.group()), [Check("stability", "min", 50.0, "checks.yaml:1")])))
    assert "conventions" not in usual
