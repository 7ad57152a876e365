import json
import math
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from stabilimeter.records import writer as writer_module
from stabilimeter.records.manifest import Manifest, RunStatus, SignalSpec, read_manifest
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.run import read_run
from stabilimeter.records.writer import RunWriter
from stabilimeter.stats.incident import Incident, Kind

KEYS = ["train/loss", "grad/norm"]


def incident(step, end_step, key="train/loss"):
    return Incident(Kind.SPIKE, step, end_step, 9.0, 2.0, 0.1, key)


def record(writer, steps):
    """What an experiment writes at these steps: the values depend on the step only."""
    for first in range(steps.start, steps.stop, 7):
        block = np.arange(first, min(first + 7, steps.stop))
        values = np.stack([np.sin(block), np.where(block % 11 == 3, np.nan, np.cos(block))], axis=1)
        writer.write_block(KEYS, block, values, 1e9 + block, logged=np.stack([block >= 0, block % 5 != 0], axis=1))
        for step in block.tolist():
            if step % 10 == 9:
                writer.write_scalars(step, {"val/accuracy": step / 1000})
                writer.write_vector("grad/layer_norms", step, [step, step / 2])
            if step % 20 == 15:
                writer.write_incident(incident(step - 3, step - 1))
        writer.flush()


def content(run):
    """Everything that a reader sees of the training itself."""
    series = {key: (run[key].steps.tolist(), run[key].values.tolist()) for key in run}
    vectors = {key: [part.tolist() for part in run.vectors(key)[:2]] for key in run.vector_keys()}
    return json.dumps([series, vectors]), run.incidents


def test_what_is_written_is_read_and_tensorboard_agrees(tmp_path):
    spec = SignalSpec("grad/layer_norms", "", "before clipping", "norm", True, ("fc.weight", "fc.bias"))
    writer = RunWriter(tmp_path / "run", Manifest(seed=0, group="g", signals=(spec,)))
    record(writer, range(0, 40))
    writer.close(RunStatus.COMPLETED, last_step=39)
    run = read_run(tmp_path / "run")
    assert (run.seed, run.status, run.notes) == (0, RunStatus.COMPLETED, ())
    assert run.keys() == ("grad/norm", "train/loss", "val/accuracy")
    assert run["train/loss"].values.dtype == np.float64
    np.testing.assert_array_equal(run["train/loss"].values, np.sin(np.arange(40)).astype(np.float32))
    assert run["grad/norm"].steps.tolist() == [step for step in range(40) if step % 5]
    assert [
        step for step, value in zip(run["grad/norm"].steps, run["grad/norm"].values, strict=True) if value != value
    ] == [3, 14, 36]
    steps, values, names = run.vectors("grad/layer_norms")
    assert (steps.tolist(), names) == ([9, 19, 29, 39], ("fc.weight", "fc.bias"))
    np.testing.assert_array_equal(values, [[step, step / 2] for step in (9, 19, 29, 39)])
    assert run.incidents == (incident(12, 14), incident(32, 34))
    reference = EventAccumulator(str(writer.path), size_guidance={"scalars": 0, "tensors": 0})
    reference.Reload()
    assert set(reference.Tags()["scalars"]) == set(run.keys())
    for key in run:
        events = reference.Scalars(key)
        assert [event.step for event in events] == run[key].steps.tolist()
        np.testing.assert_array_equal([event.value for event in events], run[key].values)
    texts = [event.tensor_proto.string_val[0].decode() for event in reference.Tensors("incidents")]
    assert texts == [
        "**spike** of `train/loss` at steps 12 to 14: 9, expected 2",
        "**spike** of `train/loss` at steps 32 to 34: 9, expected 2",
    ]


@pytest.mark.parametrize("stop", [1, 20, 23, 50])
@pytest.mark.parametrize("back", [0, 1, 8, 30])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path, stop, back):
    whole = RunWriter(tmp_path / "whole", Manifest())
    record(whole, range(0, 60))
    whole.close(RunStatus.COMPLETED)
    start = max(0, stop - back)
    first = RunWriter(tmp_path / "parts", Manifest(run_id="a"))
    record(first, range(0, stop))
    second = RunWriter(tmp_path / "parts", Manifest(run_id="b"), resume_from_step=start)
    record(second, range(start, 60))
    second.close(RunStatus.COMPLETED)
    assert content(read_run(tmp_path / "parts")) == content(read_run(tmp_path / "whole"))
    reference = EventAccumulator(str(second.path), size_guidance={"scalars": 0})
    reference.Reload()
    assert [event.step for event in reference.Scalars("train/loss")] == list(range(60))


def test_a_resume_keeps_the_run_and_its_history(tmp_path):
    first = RunWriter(tmp_path, Manifest(run_id="a", seed=3))
    first.write_scalars(0, {"a": 1.0})
    first.close(RunStatus.FAILED, "out of memory", 0)
    second = RunWriter(tmp_path, Manifest(run_id="b", seed=3), resume_from_step=1)
    third = RunWriter(tmp_path, Manifest(run_id="c", seed=3), resume_from_step=1)
    manifest = third.manifest
    assert read_manifest(tmp_path / "stability" / "manifest.json") == manifest
    assert (manifest.run_id, manifest.started, manifest.status) == ("a", first.manifest.started, None)
    assert [(session.status, session.last_step, session.resumed_at) for session in manifest.sessions] == [
        (RunStatus.FAILED, 0, 1),
        (None, None, 1),
    ]
    assert second.path == third.path == tmp_path / "stability"


def test_a_run_from_scratch_in_the_same_folder_supersedes_the_old_one(tmp_path):
    old = RunWriter(tmp_path, Manifest(run_id="old"))
    record(old, range(0, 30))
    old.close(RunStatus.COMPLETED)
    new = RunWriter(tmp_path, Manifest(run_id="new"))
    new.write_scalars(0, {"train/loss": 5.0})
    new.flush()
    run = read_run(tmp_path)
    assert (run.keys(), run["train/loss"].values.tolist(), run.incidents) == (("train/loss",), [5.0], ())
    assert run.manifest.run_id == "new"
    assert "2 runs in one folder: the newest is read" in run.notes[0]


def test_twice_in_one_process_in_two_folders(tmp_path):
    for name in ("a", "b"):
        writer = RunWriter(tmp_path / name, Manifest())
        writer.write_scalars(0, {"x": 1.0})
        writer.close(RunStatus.STOPPED, "early stopping")
        assert read_run(tmp_path / name).status is RunStatus.STOPPED


def test_the_first_end_mark_counts_and_nothing_is_added_after_it(tmp_path):
    writer = RunWriter(tmp_path, Manifest())
    writer.close(RunStatus.FAILED, "ValueError: x", 4)
    writer.close(RunStatus.COMPLETED)
    writer.flush()
    writer.heartbeat()
    manifest = read_manifest(tmp_path / "stability" / "manifest.json")
    assert (manifest.status, manifest.reason, manifest.last_step) == (RunStatus.FAILED, "ValueError: x", 4)
    assert manifest.ended is not None
    with pytest.raises(RecordError, match="is closed"):
        writer.write_scalars(5, {"a": 1.0})


@pytest.mark.parametrize("status", [RunStatus.RUNNING, RunStatus.DIED, RunStatus.UNKNOWN])
def test_a_run_cannot_end_as_something_that_is_no_end(tmp_path, status):
    with pytest.raises(ValueError, match="a run cannot end as"):
        RunWriter(tmp_path, Manifest()).close(status)


def test_heartbeats_are_rare_enough_and_come_with_flushes(tmp_path, monkeypatch):
    writer = RunWriter(tmp_path, Manifest())
    now = time.time()
    beats = []
    for second in np.arange(0.0, 10.0, 0.5):
        monkeypatch.setattr(writer_module.time, "time", lambda second=second: now + second)
        writer.flush()
        beats.append(read_manifest(tmp_path / "stability" / "manifest.json").heartbeat - now)
    gaps = np.arange(0.0, 10.0, 0.5) - beats
    assert gaps.max() < writer_module.HEARTBEAT_S
    assert 4 <= len(set(beats)) <= 6


def test_an_unwritable_place_is_found_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match=r"cannot write the record to .*file/stability: .*choose a writable folder"):
        RunWriter(tmp_path / "file", Manifest())


def test_a_read_only_folder_is_found_at_once(tmp_path):
    """In a process of its own, which gives up root's right to write anywhere."""
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked").chmod(0o555)
    printed = subprocess.run(
        [sys.executable, "-c", READ_ONLY], cwd=tmp_path / "locked", check=True, capture_output=True, text=True
    ).stdout
    assert printed == "cannot write the record to run/stability: Permission denied; choose a writable folder\n"
    assert not any((tmp_path / "locked").iterdir())


READ_ONLY = """
import os
from stabilimeter.records.manifest import Manifest
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.writer import RunWriter

if os.geteuid() == 0:
    os.setuid(65534)
try:
    RunWriter("run", Manifest())
except RecordError as error:
    print(error)
"""


def test_a_full_disk_corrupts_nothing_and_loses_nothing_that_was_kept(tmp_path):
    """The limit on file size makes a write stop half-way, as a full disk does."""
    printed = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], check=True, capture_output=True, text=True
    ).stdout
    assert printed == "File too large\n10 events before\n"
    assert read_run(tmp_path)["a"].steps.tolist() == list(range(20))


FULL_DISK = """
import resource, signal, sys
from stabilimeter.records.manifest import Manifest, RunStatus
from stabilimeter.records.run import read_run
from stabilimeter.records.writer import RunWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = RunWriter(sys.argv[1], Manifest())
for step in range(10):
    writer.write_scalars(step, {"a": step})
writer.flush()
(events,) = writer.path.glob("events*")
resource.setrlimit(resource.RLIMIT_FSIZE, (events.stat().st_size + 100, resource.RLIM_INFINITY))
for step in range(10, 20):
    writer.write_scalars(step, {"a": step})
try:
    writer.flush()
except OSError as error:
    print(error.strerror)
print(len(read_run(sys.argv[1])["a"].steps), "events before")
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.close(RunStatus.COMPLETED)
"""


def test_two_processes_cannot_write_one_record(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ENDLESS, str(tmp_path)], stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        with pytest.raises(RecordError, match=f"process {other.pid} is writing to"):
            RunWriter(tmp_path, Manifest())
        other.kill()
        other.wait()
    RunWriter(tmp_path, Manifest(), resume_from_step=0).close(RunStatus.COMPLETED)


@pytest.mark.parametrize(
    ("keys", "steps", "values", "times", "logged", "message"),
    [
        (["a"], [1, 2], [[1.0]], [0.0, 0.0], None, "need values"),
        (["a"], [1], [[1.0]], [0.0, 0.0], None, "need values"),
        (["a"], [1], [[1.0]], [0.0], [[True, False]], "need values"),
        (["a", "a"], [1], [[1.0, 2.0]], [0.0], None, "each key once"),
        (["a"], [-1], [[1.0]], [0.0], None, "must not be negative"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(tmp_path, keys, steps, values, times, logged, message):
    writer = RunWriter(tmp_path, Manifest())
    with pytest.raises(ValueError, match=message):
        writer.write_block(keys, steps, values, times, logged)


def test_vectors_and_resume_steps_are_checked(tmp_path):
    with pytest.raises(RecordError, match="must not be negative"):
        RunWriter(tmp_path, Manifest(), resume_from_step=-1)
    with pytest.raises(ValueError, match=r"a vector of shape \(k,\)"):
        RunWriter(tmp_path, Manifest()).write_vector("v", 0, [[1.0]])


ENDLESS = """
import sys, itertools
import numpy as np
from stabilimeter.records.manifest import Manifest
from stabilimeter.records.writer import RunWriter
from stabilimeter.stats.incident import Incident, Kind
writer = RunWriter(sys.argv[1], Manifest(seed=1))
for flush in itertools.count():
    steps = np.arange(5 * flush, 5 * flush + 5)
    writer.write_block(["a", "b" * 3000], steps, np.stack([steps, -steps], axis=1), 1e9 + steps)
    writer.write_incident(Incident(Kind.SPIKE, int(steps[0]), int(steps[0]), 1.0, 0.0, 1.0, "a"))
    writer.flush()
    print(flush, flush=True)
"""


def test_a_kill_at_any_moment_loses_at_most_one_flush(tmp_path, rng):
    for attempt in range(6):
        folder = tmp_path / str(attempt)
        with subprocess.Popen([sys.executable, "-c", ENDLESS, str(folder)], stdout=subprocess.PIPE, text=True) as child:
            child.stdout.readline()
            time.sleep(0.05 + 0.2 * rng.random())
            child.kill()
            flushed = [int(line) for line in child.stdout.read().split()]
            child.wait()
        run = read_run(folder)
        assert run.status is RunStatus.DIED
        steps = run["a"].steps
        assert steps.tolist() == list(range(len(steps)))
        assert run["a"].values.tolist() == steps.tolist()
        assert len(steps) >= 5 * (flushed[-1] + 1 if flushed else 1)
        assert len(steps) <= 5 * ((flushed[-1] if flushed else 0) + 3)
        assert len(run.incidents) >= (flushed[-1] + 1 if flushed else 1)
        resumed = RunWriter(folder, Manifest(seed=1), resume_from_step=3)
        resumed.write_scalars(3, {"a": 3.0})
        resumed.close(RunStatus.COMPLETED, last_step=3)
        again = read_run(folder)
        assert again["a"].steps.tolist() == [0, 1, 2, 3]
        assert again.status is RunStatus.COMPLETED
        assert [event.step for event in again.incidents] == [0]


def test_status_of_a_run_without_end_mark(tmp_path):
    writer = RunWriter(tmp_path, Manifest())
    path = tmp_path / "stability" / "manifest.json"
    assert read_run(tmp_path).status is RunStatus.RUNNING
    here = writer.manifest
    elsewhere = replace(here, hostname="elsewhere.invalid")
    for manifest, status in [
        (replace(here, heartbeat=time.time() - 600), RunStatus.RUNNING),  # busy for long, but demonstrably there
        (replace(here, pid=2**22 - 1, process_start=None), RunStatus.DIED),
        (replace(elsewhere, heartbeat=time.time() - 30), RunStatus.RUNNING),
        (replace(elsewhere, heartbeat=time.time() - 61), RunStatus.DIED),
        (replace(elsewhere, heartbeat=None), RunStatus.DIED),
        (replace(elsewhere, heartbeat=None, status=RunStatus.DIVERGED), RunStatus.DIVERGED),
    ]:
        manifest.write(path)
        assert read_run(tmp_path).status is status


def test_nan_infinity_and_not_logged_stay_apart(tmp_path):
    writer = RunWriter(tmp_path, Manifest())
    values = [[math.nan, 1.0], [math.inf, 2.0], [-math.inf, 3.0], [0.0, 4.0]]
    logged = [[True, True], [True, False], [True, True], [False, True]]
    writer.write_block(["a", "b"], range(4), values, np.zeros(4), logged)
    writer.close(RunStatus.COMPLETED)
    run = read_run(tmp_path)
    assert run["a"].steps.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(run["a"].values, [math.nan, math.inf, -math.inf])
    assert run["b"].steps.tolist() == [0, 2, 3]
