import numpy as np
import pytest

from stabilimeter.records.events import encoding
from stabilimeter.records.events.columns import RowLayout
from stabilimeter.records.events.layout import Layout


def events(step, *summaries):
    return [encoding.event(1.0, step, encoding._field(5, summary)) for summary in summaries]


def one(tag, value):
    return encoding.scalar_value(tag, value)


def layout_of(row_of_events):
    """The layout of events that lie side by side, three bytes apart."""
    begins = np.cumsum([3, *(len(event) + 3 for event in row_of_events[:-1])]).tolist()
    layouts = [Layout(np.frombuffer(event, np.uint8)) for event in row_of_events]
    return RowLayout(layouts, begins, sum(len(event) + 3 for event in row_of_events))


def rows_of(*rows):
    return np.array([np.frombuffer(b"".join(b"\xee\xee\xee" + event for event in row), np.uint8) for row in rows])


def table(pieces):
    """``{tag: [(order, step, value)]}``."""
    found = {}
    for piece in pieces:
        for number, tag in enumerate(piece.columns.tags):
            event = 0 if piece.columns.is_shared else number
            values = piece.values if piece.columns.is_vector else piece.values[number]
            found[tag] = list(
                zip(piece.order[event].tolist(), piece.steps[event].tolist(), values.tolist(), strict=True)
            )
    return found


@pytest.mark.parametrize("step", [0, 1, 127, 128, 2**40, 2**63 - 1, -1])
def test_steps_are_those_of_protocol_buffers(step):
    row = events(step, one("a", 1.0))
    assert table(layout_of(row).pieces(rows_of(row), np.array([7]))) == {"a": [(7, step, 1.0)]}


def test_events_side_by_side_have_places_and_steps_of_their_own():
    """An epoch is logged at step 3 between two tags at step 300: one byte of step, not two."""
    rows = [
        [*events(300, one("a", 1.0)), *events(3, one("epoch", 5.0)), *events(300, one("b", 2.0))],
        [*events(301, one("a", 3.0)), *events(4, one("epoch", 6.0)), *events(301, one("b", 4.0))],
    ]
    assert table(layout_of(rows[0]).pieces(rows_of(*rows), np.array([10, 20]))) == {
        "a": [(10, 300, 1.0), (20, 301, 3.0)],
        "epoch": [(11, 3, 5.0), (21, 4, 6.0)],
        "b": [(12, 300, 2.0), (22, 301, 4.0)],
    }


def test_numbers_of_every_kind_side_by_side():
    """Two events that hold two scalars each, a number beyond float32, and a vector."""
    pair = events(9, one("a", 1.0) + one("b", 2.0), one("c", 3.0) + one("d", 1e300))
    vector = events(9, encoding.vector_value("v", np.array([1.0, 2.0])))
    row = [*pair, *vector]
    assert table(layout_of(row).pieces(rows_of(row), np.array([0]))) == {
        "a": [(0, 9, 1.0)], "b": [(0, 9, 2.0)], "c": [(1, 9, 3.0)], "d": [(1, 9, 1e300)], "v": [(2, 9, [1.0, 2.0])],
    }  # fmt: skip


def test_rows_fit_that_differ_in_their_numbers_only():
    row = events(300, one("a", 1.0), one("b", 2.0))
    layout = layout_of(row)
    same, other = rows_of(events(301, one("a", 9.0), one("b", 8.0)), events(300, one("a", 1.0), one("x", 2.0)))
    nothing = np.zeros(len(same), np.uint8)
    assert layout.fits(same, nothing)
    assert not layout.fits(other, nothing)
    assert layout.fits(same, rows_of(row)[0] ^ same)
    assert not layout.fits(same, rows_of(row)[0] ^ other)


def test_session_starts():
    mark = encoding.session_start(1.0, 40)[12:-4]
    row = [*events(50, one("a", 1.0)), mark]
    assert list(layout_of(row).session_starts(rows_of(row), np.array([5]))) == [(6, 40)]
