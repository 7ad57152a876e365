"""Series in memory and on disk are the same to whoever reads them."""

import tempfile

import numpy as np
import pytest

from stabilimeter.records.points import Points
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.series_store import SeriesStore

FIRST, AGAIN, OTHER = (np.array(steps) for steps in ([1, 2, 9], [1, 2, 9], [1, 3, 9]))
VALUES = np.array([0.5, np.nan, -0.0], dtype=np.float32)


@pytest.mark.parametrize("room", [0, 30, 10_000])
def test_what_is_kept_comes_back_as_it_was(room):
    store = SeriesStore(room)
    vectors = np.asfortranarray(np.arange(12, dtype="<f4").reshape(3, 4))
    nothing = Points(np.empty(0, np.int64), np.empty((0, 4)))
    given = [Points(FIRST, VALUES), Points(OTHER, vectors), nothing, Points(AGAIN, VALUES[::-1])]
    kept = [store.kept(points) for points in given]
    for _ in range(2):
        for points, own in zip(given, kept, strict=True):
            assert own.steps.tolist() == points.steps.tolist()
            assert own.values.dtype == points.values.dtype
            assert own.values.shape == points.values.shape
            assert own.values.tobytes() == points.values.tobytes()


def test_equal_steps_are_kept_once_and_values_are_untouched():
    """Same number, beginning and end do not make them equal."""
    store = SeriesStore()
    assert store.kept(Points(FIRST, VALUES)).steps is FIRST
    joined = store.kept(Points(AGAIN, VALUES))
    assert joined.steps is FIRST
    assert joined.values is VALUES
    assert store.kept(Points(OTHER, VALUES)).steps is OTHER


def test_what_has_no_room_leaves_memory():
    store = SeriesStore(room=FIRST.nbytes + VALUES.nbytes)
    in_memory, on_disk = store.kept(Points(FIRST, VALUES)), store.kept(Points(AGAIN, VALUES + 1))
    assert in_memory.values is VALUES
    assert on_disk.steps is FIRST
    assert on_disk.values is not on_disk.values
    assert not on_disk.values.flags.writeable


def test_no_room_on_disk_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(RecordError, match=r"cannot be kept in .*missing: No such file.*set TMPDIR"):
        SeriesStore(room=0).kept(Points(FIRST, VALUES))
