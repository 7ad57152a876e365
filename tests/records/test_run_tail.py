import subprocess
import sys
import time

import numpy as np
import pytest

from stabilimeter.records.events import encoding
from stabilimeter.records.events.log import read_event_log
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.run_tail import RunTail


def line(start, stop, offset):
    return {step: float(step + offset) for step in range(start, stop)}


def same_as_read_whole(tail):
    whole = read_event_log([path for path in tail.folder.iterdir() if "tfevents" in path.name])
    followed = tail.log()
    assert followed.notes == whole.notes
    assert list(followed.scalars) == list(whole.scalars)
    for tag, points in whole.scalars.items():
        np.testing.assert_array_equal(followed.scalars[tag].steps, points.steps)
        np.testing.assert_array_equal(followed.scalars[tag].values, points.values)
    return True


def test_follows_a_run_that_is_resumed(event_file):
    """At each of its states a followed run is what reading it anew would give."""
    first = event_file({"loss": line(0, 40, 0), "val": {10: 0.1, 30: 0.2}}, stamp=1)
    content = first.read_bytes()
    tail = RunTail(first.parent)
    for end in (len(content) // 3, len(content) // 2, len(content)):
        first.write_bytes(content[:end])
        assert tail.read()
        assert same_as_read_whole(tail)
    assert not tail.read()
    event_file({"loss": line(20, 30, 100)}, stamp=2, start=20)
    assert tail.read()
    assert same_as_read_whole(tail)
    assert tail.log().scalars["loss"].values[19:21].tolist() == [19.0, 120.0]
    assert tail.log().scalars["val"].steps.tolist() == [10]
    third = event_file({"loss": line(0, 5, 200)}, stamp=3)  # another run in the same folder
    assert tail.read()
    assert same_as_read_whole(tail)
    third.unlink()
    assert tail.read()
    assert same_as_read_whole(tail)
    assert tail.log().scalars["loss"].steps.tolist() == list(range(30))


def test_what_is_not_asked_for_still_says_where_a_run_continues(event_file):
    first = event_file({"loss": line(1, 40, 0), "lr": line(1, 40, 0), "x": line(1, 9, 0)}, stamp=1)
    event_file({"loss": line(20, 30, 100), "lr": line(20, 30, 100), "x": line(1, 9, 0)}, stamp=2)
    tail = RunTail(first.parent, keys=["x"])
    assert tail.read()
    assert list(tail.log().scalars) == ["x"]
    assert tail.log().notes == read_event_log(list(tail.folder.iterdir())).notes


def test_a_long_run_is_caught_up_with_in_pieces(event_file):
    first = event_file({"loss": line(0, 200, 0)}, stamp=1)
    event_file({"loss": line(150, 300, 7)}, stamp=2)
    tail = RunTail(first.parent)
    looks = 0
    while looks == 0 or tail.is_behind:
        assert tail.read(at_most=2000)
        looks += 1
        steps = tail.log().scalars["loss"].steps
        assert steps.tolist() == list(range(len(steps)))
        assert not [note for note in tail.log().notes if "unfinished" in note]
    assert looks > 5
    assert same_as_read_whole(tail)
    assert not tail.read()


def test_an_empty_folder_and_a_torn_start(tmp_path):
    tail = RunTail(tmp_path)
    assert not tail.read()
    assert not tail.log().scalars
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(encoding.file_header(1.0)[:9])
    assert not tail.read()
    path.write_bytes(encoding.file_header(1.0) + encoding.scalars_event(1.0, 3, {"loss": 2.0}))
    assert tail.read()
    assert tail.log().scalars["loss"].steps.tolist() == [3]


def test_what_cannot_be_read_is_said_and_costs_nothing_that_was_read(event_file):
    first = event_file({"loss": line(0, 10, 0)}, stamp=1)
    tail = RunTail(first.parent)
    tail.read()
    second = event_file({"loss": line(10, 20, 0)}, stamp=2)
    content = second.read_bytes()
    second.write_bytes(content[:-9] + b"?" + content[-8:])
    with pytest.raises(RecordError, match="corrupt"):
        tail.read()
    assert tail.log().scalars["loss"].steps.tolist() == list(range(10))
    second.write_bytes(content)
    assert tail.read()
    assert tail.log().scalars["loss"].steps.tolist() == list(range(20))
    with pytest.raises(RecordError, match="cannot read"):
        RunTail(tail.folder / "missing").read()


WRITES = """
import itertools, sys
import numpy as np
from stabilimeter.records.manifest import Manifest
from stabilimeter.records.writer import RunWriter
writer = RunWriter(sys.argv[1], Manifest(seed=1))
for flush in itertools.count():
    steps = np.arange(5 * flush, 5 * flush + 5)
    writer.write_block(["a", "b" * 3000], steps, np.stack([steps, -steps], axis=1), 1e9 + steps)
    writer.flush()
    print(flush, flush=True)
"""


def test_a_run_followed_while_it_is_written_and_killed(tmp_path):
    """Every look sees a beginning of the run without gaps; after the kill it has all that was flushed."""
    with subprocess.Popen([sys.executable, "-c", WRITES, str(tmp_path)], stdout=subprocess.PIPE, text=True) as child:
        child.stdout.readline()
        tail = RunTail(tmp_path / "stability")
        seen, end = [0], time.monotonic() + 30
        while len(seen) < 8 and time.monotonic() < end:
            if tail.read():
                points = tail.log().scalars["a"]
                assert points.steps.tolist() == points.values.tolist() == list(range(len(points.steps)))
                seen.append(len(points.steps))
        child.kill()
        flushed = 1 + len(child.stdout.read().split())
        child.wait()
    tail.read()
    assert len(set(seen)) == 8
    assert seen == sorted(seen)
    assert len(tail.log().scalars["a"].steps) >= 5 * flushed
    assert same_as_read_whole(tail)
