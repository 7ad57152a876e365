import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from stabilimeter.records.event_layout import Layout


def row(step, *values):
    parts = [Summary.Value(tag=tag, simple_value=value) for tag, value in values]
    return np.frombuffer(Event(wall_time=1.5, step=step, summary=Summary(value=parts)).SerializeToString(), np.uint8)


def fits(layout, other):
    return bool(layout.fits(other[:, None], np.arange(len(other)))[0])


def test_numbers_may_differ_and_nothing_else():
    layout = Layout(row(300, ("loss", 1.0), ("norm", 2.0)))
    assert fits(layout, row(16_383, ("loss", np.nan), ("norm", -7.5)))
    assert not fits(layout, row(300, ("loss", 1.0), ("nora", 2.0)))
    assert not fits(layout, row(300, ("losses", 1.0), ("no", 2.0)))
    assert [(number.tag, number.kind, number.width) for number in layout.numbers] == [
        ("loss", "<f4", 1),
        ("norm", "<f4", 1),
    ]


def test_a_step_of_another_width_is_another_layout():
    example = row(300, ("a", 1.0))
    assert (example[9:12] == [0x10, 0xAC, 0x02]).all()
    shorter = example.copy()
    shorter[10] = 0x2C  # the step ends here; what follows is no longer part of it
    assert not fits(Layout(example), shorter)


@pytest.mark.parametrize("step", [0, 1, 127, 128, 2**40, 2**63 - 1, -1])
def test_steps_are_those_of_protocol_buffers(step):
    example = row(step, ("a", 1.0))
    assert Layout(example).steps(example[None, :]).tolist() == [step]


def test_events_of_one_layout_have_one_key():
    assert Layout(row(300, ("a", 1.0))).key() == Layout(row(301, ("a", 2.0))).key()
    assert Layout(row(300, ("a", 1.0))).key() != Layout(row(300, ("b", 1.0))).key()


@pytest.mark.parametrize("cut", range(1, 20))
def test_an_event_cut_short_is_refused_or_lacks_its_end(cut):
    whole = row(300, ("a", 1.0))
    try:
        layout = Layout(whole[:-cut].copy())
    except ValueError:
        return
    assert layout.numbers == []
