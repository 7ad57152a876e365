import io
import os
import time

import numpy as np
import pytest

from stabilimeter.present.screen import LiveScreen, Pipe, screen_on
from stabilimeter.present.terminal import to_text
from stabilimeter.present.watch import QUIET_S, look_at, watch
from stabilimeter.records.manifest import MANIFEST_FILE, RECORD_DIR, Manifest, RunStatus
from stabilimeter.records.writer import RunWriter

LONG_AGO = time.time() - 10 * QUIET_S


class Recorder:
    """A screen that keeps what it was asked to show."""

    def __init__(self):
        self.frames = []
        self.closed = 0

    def show(self, content, status):
        self.frames.append((" ".join(to_text(content).split()), status))

    def close(self):
        self.closed += 1


class Sleeper:
    """Sleeps by doing the next thing of a plan; Ctrl-C when the plan is over."""

    def __init__(self, *plan):
        self.plan = list(plan)
        self.naps = []

    def __call__(self, seconds):
        self.naps.append(seconds)
        if not self.plan:
            raise KeyboardInterrupt
        self.plan.pop(0)()


def start(folder, seed, n_steps=100):
    """A run that has trained for a while and goes on: this very process is its own."""
    manifest = Manifest(seed=seed, group="g", monitor="val_loss", mode="min", planned_steps=n_steps)
    writer = RunWriter(folder / f"seed={seed}", manifest)
    train(writer, 0, n_steps)
    return writer


def train(writer, begin, end):
    steps = np.arange(begin, end)
    loss = 2 * np.exp(-steps / 30) + 0.01 * np.random.default_rng(begin).standard_normal(end - begin)
    writer.write_block(["train/loss"], steps, loss[:, None], 1.7e9 + steps)
    writer.write_block(["val_loss"], steps[9::10], loss[9::10, None], 1.7e9 + steps[9::10])
    writer.flush()


def finish(writer, last_step=99):
    writer.close(RunStatus.COMPLETED, last_step=last_step)


def age(folder):
    """As if nothing had been written for long."""
    for path in folder.rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO))


def run_watch(folder, sleeper, refresh=lambda sweep, summary: None, **options):
    screen = Recorder()
    problem = watch(folder, lambda: look_at(folder, **options), screen, refresh, 5.0, sleep=sleeper)
    assert screen.closed == 1
    return screen.frames, problem


def test_it_follows_a_sweep_from_an_absent_folder_to_the_end_of_its_last_run(tmp_path):
    folder, writers = tmp_path / "sweep", []
    sleeper = Sleeper(
        folder.mkdir,
        lambda: writers.append(start(folder, 0)),
        lambda: finish(writers[0]),
        lambda: writers.append(start(folder, 1)),
        lambda: finish(writers[1]),
        lambda: age(folder),
    )
    frames, problem = run_watch(folder, sleeper)
    assert problem is None
    assert sleeper.plan == []
    assert len(frames) == 7
    assert frames[0][0] == f"waiting for runs in {folder} {folder} does not exist; give a folder with runs"
    assert frames[1][0].startswith(f"waiting for runs in {folder} no run in {folder}:")
    for (text, _), expected in zip(
        frames[2:],
        [
            "1 group, 1 seed: none failed, 1 still running",
            "1 group, 1 seed: none failed. Stability",
            "1 group, 2 seeds: none failed, 1 still running",
            "1 group, 2 seeds: none failed. Stability",
            "1 group, 2 seeds: none failed. Stability",
        ],
        strict=True,
    ):
        assert text.startswith(expected)
    assert "2 runs ended, 0 not" in frames[-1][1]


def test_files_are_refreshed_when_a_run_starts_or_ends_and_not_when_it_only_goes_on(tmp_path):
    writer = start(tmp_path, 0)
    refreshed = []
    sleeper = Sleeper(
        lambda: train(writer, 100, 150), lambda: train(writer, 150, 200), lambda: finish(writer), lambda: age(tmp_path)
    )
    frames, _ = run_watch(tmp_path, sleeper, lambda _, summary: refreshed.append(summary.groups[0].runs[0].status))
    assert refreshed == ["running", "completed"]
    assert len({text for text, _ in frames[:3]}) == 3  # the figures on the screen did follow


def test_ended_runs_are_not_read_again_while_nothing_changes(tmp_path):
    finish(start(tmp_path, 0))
    looks = []

    def look():
        looks.append(look_at(tmp_path))
        return looks[-1]

    watch(tmp_path, look, Recorder(), lambda *_: None, 5.0, sleep=Sleeper(lambda: None, lambda: None))
    assert len(looks) == 1


def test_a_run_that_dies_without_a_trace_is_noticed(tmp_path, monkeypatch):
    start(tmp_path, 0)
    refreshed = []
    frames, _ = run_watch(
        tmp_path,
        Sleeper(lambda: monkeypatch.setattr("stabilimeter.records.run.is_alive", lambda process: False)),
        lambda _, summary: refreshed.append(summary.groups[0].runs[0].status),
    )
    assert refreshed == ["running", "died"]
    assert "1 still running" in frames[0][0]
    assert frames[1][0].startswith("1 group, 1 seed: 1 failed.")


def test_what_the_watch_writes_is_no_news(tmp_path):
    finish(start(tmp_path, 0))
    looks = []

    def refresh(sweep, summary):
        (tmp_path / "summary.json").write_text("{}")
        (tmp_path / "across_seeds").mkdir()
        (tmp_path / "across_seeds" / "events.out.tfevents.1").write_text("")

    def look():
        looks.append(1)
        return look_at(tmp_path)

    watch(tmp_path, look, Recorder(), refresh, 5.0, sleep=Sleeper(lambda: None))
    assert len(looks) == 1


def test_a_half_written_run_is_named_and_the_others_are_shown(tmp_path):
    finish(start(tmp_path, 0))
    finish(start(tmp_path, 1))
    manifest = tmp_path / "seed=1" / RECORD_DIR / MANIFEST_FILE
    whole = manifest.read_text()
    manifest.write_text(whole[: len(whole) // 2])
    frames, _ = run_watch(tmp_path, Sleeper(lambda: manifest.write_text(whole)))
    torn, healed = frames[0][0], frames[1][0]
    assert torn.startswith("seed=1 could not be read this time: cannot read the manifest")
    assert "1 group, 1 seed: none failed." in torn
    assert healed.startswith("1 group, 2 seeds: none failed.")


def test_the_last_summary_stays_when_nothing_can_be_read(tmp_path):
    finish(start(tmp_path, 0))
    manifest = tmp_path / "seed=0" / RECORD_DIR / MANIFEST_FILE
    frames, _ = run_watch(tmp_path, Sleeper(lambda: manifest.write_text("{")))
    assert frames[1][0].startswith("seed=0 could not be read this time:")
    assert frames[1][0].endswith(frames[0][0])


def test_a_torn_event_file_and_csv_are_read_as_far_as_they_go(tmp_path):
    writer = start(tmp_path, 0)
    events = next((tmp_path / "seed=0" / RECORD_DIR).glob("events*"))
    with events.open("ab") as file:
        file.write(b"\x20\x00\x00\x00")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "run_0.csv").write_text("step,val_loss\n0,1.0\n1,0.9\n2,0.")
    look = look_at(tmp_path)
    assert look.troubles == ()
    finals = {run.path: run.metrics["val_loss"].n_points for group in look.summary.groups for run in group.runs}
    assert finals["seed=0"] == 10
    assert finals["other/run_0.csv"] in (2, 3)
    finish(writer)


def test_logs_without_an_end_mark_never_end_by_themselves(tmp_path):
    (tmp_path / "run_0.csv").write_text("step,val_loss\n" + "".join(f"{i},{1 / (i + 1)}\n" for i in range(50)))
    age(tmp_path)
    sleeper = Sleeper(lambda: None)
    frames, _ = run_watch(tmp_path, sleeper)
    assert len(sleeper.naps) == 2
    assert "0 runs ended, 1 not" in frames[-1][1]


def test_a_metric_may_come_later_but_not_after_the_end(tmp_path):
    writer = start(tmp_path, 0)
    frames, problem = run_watch(tmp_path, Sleeper(), metric="val/f1")
    assert "no run has the metric 'val/f1'" in frames[0][0]
    assert problem is None
    finish(writer)
    age(tmp_path)
    assert run_watch(tmp_path, Sleeper(), metric="val/f1")[1].startswith("no run has the metric 'val/f1'")


def test_the_pause_is_as_long_as_a_slow_look(tmp_path):
    finish(start(tmp_path, 0))
    sleeper = Sleeper()

    def slow():
        time.sleep(0.2)
        return look_at(tmp_path)

    watch(tmp_path, slow, Recorder(), lambda *_: None, 0.01, sleep=sleeper)
    assert sleeper.naps[0] >= 0.2


def test_a_pipe_prints_only_what_is_new():
    out = io.StringIO()
    pipe = Pipe(out)
    for content in ("a", "a", "b", "a"):
        pipe.show(content, "status changes every time")
    pipe.close()
    assert out.getvalue() == "a\nb\na\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("file", "term", "kind"), [(io.StringIO, "xterm", Pipe), (Terminal, "dumb", Pipe), (Terminal, "xterm", LiveScreen)]
)
def test_only_a_terminal_that_can_be_redrawn_is(monkeypatch, file, term, kind):
    monkeypatch.setenv("TERM", term)
    assert type(screen_on(file())) is kind


def test_a_terminal_is_redrawn_on_a_screen_of_its_own_and_keeps_the_last_summary(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    screen = screen_on(out)
    screen.show("first", "watching")
    screen.show("second", "watching")
    screen.close()
    shown = out.getvalue()
    assert shown.count("\x1b[?1049h") == shown.count("\x1b[?1049l") == 1
    left_behind = shown.partition("\x1b[?1049l")[2]
    assert "second" in left_behind
    assert "first" not in left_behind
    assert "watching" not in left_behind
