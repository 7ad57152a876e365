"""Siblings of a run: which runs they are, and what is known of them while they are written."""

import math
import time

import numpy as np
import pytest

from stabilimeter.records import siblings as siblings_module
from stabilimeter.records.manifest import MANIFEST_FILE, RECORD_DIR, Manifest, RunStatus
from stabilimeter.records.siblings import Siblings, folder_of_siblings
from stabilimeter.records.writer import RunWriter

TAGS = ["train/loss"]


def soon():
    return time.monotonic() + 60


def started(folder, seed, group="g", **manifest):
    return RunWriter(folder, Manifest(seed=seed, group=group, **manifest))


def recorded(folder, seed, losses, status=RunStatus.COMPLETED, group="g"):
    writer = started(folder, seed, group)
    extend(writer, losses)
    writer.close(status, last_step=len(losses) - 1)


def extend(writer, losses, first=0):
    steps = np.arange(first, first + len(losses))
    writer.write_block(TAGS, steps, np.array(losses)[:, None], 1e9 + steps)
    writer.flush()


def loss(sibling):
    points = sibling.points("train/loss")
    return [] if points is None else points.values.tolist()


@pytest.mark.parametrize(
    ("run", "job", "root"),
    [
        ("sweep/lr=0.1/seed=3", None, "sweep/lr=0.1"),
        ("sweep/lr=0.1/seed=3", "sweep/lr=0.1/seed=3", "sweep/lr=0.1"),
        ("runs/seed_3/lightning_logs/version_0", None, "runs"),
        ("lightning_logs/version_3", None, "lightning_logs"),
        ("multirun/12-00/7/logs/version_0", "multirun/12-00/7", "multirun/12-00"),
        ("multirun/lr=0.1,seed=3", None, "multirun"),
        ("elsewhere/version_3", "multirun/7", "elsewhere"),
    ],
)
def test_folder_of_siblings(tmp_path, run, job, root):
    found = folder_of_siblings(tmp_path / run, None if job is None else tmp_path / job)
    assert found == (tmp_path / root)


def test_who_is_a_sibling(tmp_path):
    started(tmp_path / "version_0", 0)
    recorded(tmp_path / "version_1", 1, [3.0, 2.0])
    recorded(tmp_path / "version_2", 0, [9.0])  # the same seed
    recorded(tmp_path / "version_3", 3, [9.0], group="other")
    recorded(tmp_path / "version_4", 4, [5.0, 4.0], group=None)  # does not know its group: the folder decides
    recorded(tmp_path / "deeper" / "version_5", 5, [9.0])
    recorded(tmp_path / "version_6", 1, [3.0, 1.0])  # seed 1 again: the later run counts
    (tmp_path / "notes").mkdir()
    (tmp_path / "file").write_text("x")
    found = Siblings(tmp_path, tmp_path / "version_0").read(TAGS, soon())
    assert {sibling.path.name: loss(sibling) for sibling in found} == {"version_4": [5, 4], "version_6": [3, 1]}


def test_the_rest_of_the_path_is_the_same(tmp_path):
    own = tmp_path / "seed=0" / "logs[a]" / "version_0"
    started(own, 0)
    recorded(tmp_path / "seed=1" / "logs[a]" / "version_7", 1, [1.0])
    recorded(tmp_path / "seed=2" / "other" / "version_0", 2, [1.0])
    found = Siblings(folder_of_siblings(own), own).read(TAGS, soon())
    assert [sibling.manifest.seed for sibling in found] == [1]


def test_reads_what_is_new(tmp_path, monkeypatch):
    started(tmp_path / "0", 0)
    other = started(tmp_path / "1", 1)
    extend(other, [5.0, 4.0])
    siblings = Siblings(tmp_path, tmp_path / "0")
    (found,) = siblings.read(TAGS, soon())
    assert (loss(found), found.status, found.has_finished) == ([5, 4], RunStatus.RUNNING, False)
    extend(other, [3.0, math.nan], first=2)
    (found,) = siblings.read(TAGS, soon())
    np.testing.assert_array_equal(loss(found), [5, 4, 3, math.nan])
    other.close(RunStatus.DIVERGED, last_step=3)
    (found,) = siblings.read(TAGS, soon())
    assert (found.has_finished, found.failed) == (True, True)
    monkeypatch.setattr(siblings_module, "read_manifest", None)  # a finished one is not looked at again
    assert siblings.read(TAGS, soon()) == [found]
    monkeypatch.undo()
    recorded(tmp_path / "2", 2, [1.0])  # one that comes later
    assert len(siblings.read(TAGS, soon())) == 2


def test_torn_missing_and_corrupt(tmp_path):
    started(tmp_path / "0", 0)
    writers = {seed: started(tmp_path / str(seed), seed) for seed in (1, 2, 3)}
    for writer in writers.values():
        extend(writer, [5.0, 4.0])
    siblings = Siblings(tmp_path, tmp_path / "0")
    siblings.read(TAGS, soon())
    for writer in writers.values():
        extend(writer, [3.0], first=2)
    events = {seed: next((tmp_path / str(seed) / RECORD_DIR).glob("*tfevents*")) for seed in writers}
    whole = events[1].read_bytes()
    events[1].write_bytes(whole[:-5])  # torn
    events[2].unlink()  # gone
    garbled = bytearray(events[3].read_bytes())
    garbled[-20] ^= 1
    events[3].write_bytes(garbled)
    (tmp_path / "4" / RECORD_DIR).mkdir(parents=True)
    (tmp_path / "4" / RECORD_DIR / MANIFEST_FILE).write_text('{"schema": 1, "see')  # being written, not atomically
    found = {sibling.manifest.seed: loss(sibling) for sibling in siblings.read(TAGS, soon())}
    assert found == {1: [5, 4], 2: [], 3: [5, 4]}
    events[1].write_bytes(whole)
    found = {sibling.manifest.seed: loss(sibling) for sibling in siblings.read(TAGS, soon())}
    assert found[1] == [5, 4, 3]


def test_more_tags_are_read_from_the_start(tmp_path):
    started(tmp_path / "0", 0)
    other = started(tmp_path / "1", 1)
    extend(other, [5.0])
    other.write_scalars(0, {"val/acc": 0.5})
    other.flush()
    siblings = Siblings(tmp_path, tmp_path / "0")
    assert siblings.read(TAGS, soon())[0].points("val/acc") is None
    assert siblings.read([*TAGS, "val/acc"], soon())[0].points("val/acc").values.tolist() == [0.5]
    assert loss(siblings.read(TAGS, soon())[0]) == [5]


def test_the_time_is_kept_and_every_sibling_has_its_turn(tmp_path, monkeypatch):
    started(tmp_path / "0", 0)
    for seed in range(1, 5):
        recorded(tmp_path / str(seed), seed, np.linspace(5, 1, 2000).tolist())
    monkeypatch.setattr(siblings_module, "_PIECE_BYTES", 20_000)
    siblings = Siblings(tmp_path, tmp_path / "0")
    siblings._search(soon())
    counts = []
    for _ in range(40):
        found = siblings.read(TAGS, time.monotonic() - 1)  # no time at all: one piece at each look
        counts.append(sum(len(loss(sibling)) for sibling in found))
    assert 0 < counts[0] < 2000
    assert counts == sorted(counts)
    assert counts[-1] == 8000


@pytest.mark.parametrize(
    ("losses", "status", "failed"),
    [
        (np.linspace(3, 1, 50), RunStatus.COMPLETED, False),
        (np.linspace(3, 1, 50), RunStatus.STOPPED, False),
        (np.linspace(3, 1, 50), RunStatus.FAILED, True),
        (np.linspace(1, 3, 50), RunStatus.COMPLETED, True),  # ends above its start
        (np.append(np.linspace(3, 1, 50), math.nan), RunStatus.COMPLETED, True),
    ],
)
def test_fate(tmp_path, losses, status, failed):
    started(tmp_path / "0", 0)
    recorded(tmp_path / "1", 1, losses.tolist(), status)
    (sibling,) = Siblings(tmp_path, tmp_path / "0").read(TAGS, soon())
    assert (sibling.has_finished, sibling.failed) == (True, failed)


def test_a_cancelled_run_has_no_fate(tmp_path):
    started(tmp_path / "0", 0)
    recorded(tmp_path / "1", 1, [1.0], RunStatus.CANCELLED)
    (sibling,) = Siblings(tmp_path, tmp_path / "0").read(TAGS, soon())
    assert not sibling.has_finished
