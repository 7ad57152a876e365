import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

from stabilimeter.records.events.layout import Layout


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


@pytest.mark.parametrize("kind", ["histogram", "image", "text", "histogram of TensorFlow 2"])
def test_what_is_not_read_may_differ(kind):
    """A thousand histograms of one tag and length are one layout, not a thousand."""

    def event(content, tag="h", step=300):
        value = Summary.Value(tag=tag)
        if kind == "histogram":
            value.histo.bucket.extend(content)
        elif kind == "image":
            value.image.encoded_image_string = bytes(content)
        elif kind == "text":
            value.tensor.CopyFrom(TensorProto(dtype="DT_STRING", string_val=[bytes(content)]))
        else:
            shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=len(content))])
            value.tensor.CopyFrom(TensorProto(dtype="DT_DOUBLE", double_val=content, tensor_shape=shape))
        return np.frombuffer(
            Event(wall_time=1.5, step=step, summary=Summary(value=[value])).SerializeToString(), np.uint8
        )

    layout = Layout(event([1, 2, 3]))
    assert fits(layout, event([4, 5, 6], step=301))
    assert not fits(layout, event([1, 2, 3], tag="g"))
    assert layout.numbers == []
