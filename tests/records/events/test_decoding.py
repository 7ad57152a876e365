import struct

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

from stabilimeter.records.events import encoding, layouts
from stabilimeter.records.events.decoding import read_event_file
from stabilimeter.records.record_error import RecordError


def scalars(file):
    return {
        tag: list(zip(track.steps.tolist(), track.values.tolist(), strict=True)) for tag, track in file.scalars.items()
    }


def write(tmp_path, content):
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(content)
    return path


def tensor_event(step, tag, tensor, plugin="scalars"):
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin))
    return Event(
        step=step, wall_time=1.0, summary=Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=metadata)])
    )


def test_hand_made_bytes(tmp_path, frame):
    """Every byte of this event is written out, from event.proto and summary.proto."""
    value = b"\x0a\x01a" + b"\x15" + struct.pack("<f", 0.75)  # Value: tag = 1, simple_value = 2
    event = (
        b"\x09" + struct.pack("<d", 12.5)  # wall_time = 1
        + b"\x10\xac\x02"  # step = 2: 300
        + b"\x2a" + bytes([2 + len(value)]) + b"\x0a" + bytes([len(value)]) + value  # summary = 5, value = 1
    )  # fmt: skip
    assert scalars(read_event_file(write(tmp_path, frame(event)))) == {"a": [(300, 0.75)]}


def test_equals_tensorboards_reader_on_a_log_of_every_shape(tmp_path, rng):
    """Tags of equal and different length, packed and single, steps of every width, NaN and infinities."""
    content = [encoding.file_header(1.0)]
    steps = np.unique(rng.integers(0, 2**22, 400))
    for number, step in enumerate(steps):
        values = rng.normal(size=6)
        values[rng.random(6) < 0.1] = rng.choice([np.nan, np.inf, -np.inf])
        tags = ["loss", "norm", "lr/group0", "lr/group1", "x", "épòque"]
        logged = rng.random(6) < 0.7
        if number % 3:
            chosen = {tag: value for tag, value, here in zip(tags, values, logged, strict=True) if here}
            content += [encoding.scalars_event(1.0 + step, step, {tag: value}) for tag, value in chosen.items()]
        else:
            content.append(encoding.scalar_block(tags, step[None], values[None], step[None] * 1.0, logged[None]))
        if number % 50 == 0:
            content.append(encoding.summary_event(1.0, step, encoding.text_value("note", "x" * number)))
    path = write(tmp_path, b"".join(content))
    reference = EventAccumulator(str(path), size_guidance={"tensors": 0, "scalars": 0})
    reference.Reload()
    found = read_event_file(path)
    assert set(found.scalars) == set(reference.Tags()["scalars"])
    for tag, track in found.scalars.items():
        events = reference.Scalars(tag)
        np.testing.assert_array_equal(track.steps, [event.step for event in events])
        np.testing.assert_array_equal(track.values, np.array([event.value for event in events], np.float32))
    assert sum(len(track.steps) for track in found.scalars.values()) > 1000


@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        (TensorProto(dtype="DT_FLOAT", tensor_content=struct.pack("<f", 1.5), tensor_shape=TensorShapeProto()), 1.5),
        (TensorProto(dtype="DT_FLOAT", float_val=[2.5]), 2.5),
        (TensorProto(dtype="DT_FLOAT", float_val=[float("nan")]), np.nan),
        (TensorProto(dtype="DT_DOUBLE", tensor_content=struct.pack("<d", 0.1)), 0.1),
        (TensorProto(dtype="DT_DOUBLE", double_val=[1e300]), 1e300),
        (TensorProto(dtype="DT_HALF", tensor_content=np.float16(0.5).tobytes()), 0.5),
        (TensorProto(dtype="DT_HALF", half_val=[0x3800]), 0.5),
        (TensorProto(dtype="DT_HALF", half_val=[0xFC00]), -np.inf),
        (TensorProto(dtype="DT_BFLOAT16", tensor_content=b"\xc0\x3f"), 1.5),
        (TensorProto(dtype="DT_BFLOAT16", half_val=[0x3FC0]), 1.5),
        (TensorProto(dtype="DT_INT64", tensor_content=struct.pack("<q", -7)), -7.0),
        (TensorProto(dtype="DT_INT32", tensor_content=struct.pack("<i", 7)), 7.0),
    ],
)  # fmt: skip
def test_scalars_stored_as_tensors(tmp_path, frame, tensor, value):
    other = tensor_event(3, "b", TensorProto(dtype="DT_FLOAT", float_val=[9.0]))
    path = write(tmp_path, frame(tensor_event(2, "a", tensor)) + frame(other))
    found = read_event_file(path)
    assert found.scalars["a"].steps.tolist() == [2]
    np.testing.assert_array_equal(found.scalars["a"].values.astype(float), [value])
    assert scalars(found)["b"] == [(3, 9.0)]


def test_what_is_no_scalar_is_left_out(tmp_path, frame):
    content = [
        encoding.file_header(1.0),
        frame(tensor_event(1, "text", TensorProto(dtype="DT_STRING", string_val=[b"hello"]), "text")),
        frame(tensor_event(1, "matrix", TensorProto(dtype="DT_FLOAT", float_val=[1, 2], tensor_shape=_shape(2, 1)))),
        frame(
            tensor_event(1, "foreign", TensorProto(dtype="DT_FLOAT", float_val=[1, 2], tensor_shape=_shape(2)), "other")
        ),
        frame(Event(step=1, summary=Summary(value=[Summary.Value(tag="image", image=Summary.Image(height=1))]))),
        frame(Event(step=1, graph_def=b"graph")),
        frame(Event(step=4, summary=Summary(value=[Summary.Value(tag="a", simple_value=0.0)]))),
    ]
    found = read_event_file(write(tmp_path, b"".join(content)))
    assert scalars(found) == {"a": [(4, 0.0)]}
    assert found.vectors == {}


def _shape(*sizes):
    return TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in sizes])


def test_vectors_of_ours_come_back(tmp_path, rng):
    values = rng.normal(size=(30, 4))
    values[3] = [np.nan, np.inf, 1e300, 0.0]
    content = [encoding.summary_event(0.0, step, encoding.vector_value("v", row)) for step, row in enumerate(values)]
    found = read_event_file(write(tmp_path, b"".join(content)))
    assert found.vectors["v"].steps.tolist() == list(range(30))
    expected = np.where(np.arange(30)[:, None] == 3, values, np.float32(np.clip(values, -1e9, 1e9)))
    np.testing.assert_array_equal(found.vectors["v"].values, expected)
    assert found.scalars == {}


def test_a_thousand_tags_of_equal_length(tmp_path, rng):
    tags = [f"layer.{number:04d}" for number in range(1000)]
    values = rng.normal(size=(7, 1000)).astype(np.float32)
    content = []
    for step, row in enumerate(values):
        content += [encoding.scalars_event(0.0, step, {tag: row[number]}) for number, tag in enumerate(tags)]
    found = read_event_file(write(tmp_path, b"".join(content)))
    assert set(found.scalars) == set(tags)
    np.testing.assert_array_equal(np.array([found.scalars[tag].values for tag in tags]).T, values)


def test_large_images_between_scalars_cost_neither_memory_nor_minutes(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(layouts, "_BYTES", 10_000)
    content = []
    for step in range(6):
        picture = Summary.Image(height=1, encoded_image_string=rng.bytes(2_000_000 if step % 2 else 3000))
        content.append(
            encoding.frame(
                Event(step=step, summary=Summary(value=[Summary.Value(tag="i", image=picture)])).SerializeToString()
            )
        )
        content.append(encoding.scalars_event(0.0, step, {"a": float(step), "b": 1.0}))
    assert scalars(read_event_file(write(tmp_path, b"".join(content))))["a"] == [
        (step, float(step)) for step in range(6)
    ]


def test_a_tag_twice_in_one_event_keeps_the_order(tmp_path, frame):
    values = [Summary.Value(tag="a", simple_value=number) for number in (3.0, 1.0, 2.0)]
    path = write(tmp_path, frame(Event(step=5, summary=Summary(value=values))))
    assert scalars(read_event_file(path)) == {"a": [(5, 3.0), (5, 1.0), (5, 2.0)]}


def test_negative_and_missing_steps(tmp_path, frame):
    events = [
        Event(step=step, summary=Summary(value=[Summary.Value(tag="a", simple_value=1.0)])) for step in (-3, 0, 2)
    ]
    assert scalars(read_event_file(write(tmp_path, b"".join(map(frame, events))))) == {
        "a": [(-3, 1.0), (0, 1.0), (2, 1.0)]
    }


def test_any_flipped_bit_is_an_error_or_changes_nothing(tmp_path, rng):
    """Never silently different: the reason for checksums."""
    content = encoding.file_header(1.0) + encoding.scalar_block(
        ["loss", "norm"], np.arange(12), rng.normal(size=(12, 2)), np.arange(12.0)
    )
    content += encoding.summary_event(1.0, 12, encoding.vector_value("v", rng.normal(size=3)))
    intact = read_event_file(write(tmp_path, content))
    for at in range(len(content)):
        flipped = bytearray(content)
        flipped[at] ^= 1 << int(rng.integers(8))
        with pytest.raises(RecordError, match=r"corrupt event file at byte \d+") as caught:
            read_event_file(write(tmp_path, bytes(flipped)))
        assert str(tmp_path / "events.out.tfevents.1") in str(caught.value)
    assert len(intact.scalars["loss"].steps) == 12


def test_a_torn_tail_loses_the_last_event_only(tmp_path, rng):
    blocks = [
        encoding.scalar_block(["loss"], np.array([step]), rng.normal(size=(1, 1)), np.array([1.0])) for step in range(6)
    ]
    header = encoding.file_header(1.0)
    content = header + b"".join(blocks)
    for cut in range(len(content) + 1):
        found = read_event_file(write(tmp_path, content[:cut]))
        whole = max(0, cut - len(header)) // len(blocks[0])
        assert len(found.scalars["loss"].steps if found.scalars else []) == whole
        at_end_of_frame = cut == 0 or (cut >= len(header) and (cut - len(header)) % len(blocks[0]) == 0)
        assert (found.torn_at is None) == at_end_of_frame
        if found.torn_at is not None:
            assert found.torn_at == (len(header) + whole * len(blocks[0]) if cut >= len(header) else 0)


@pytest.mark.parametrize(
    "content",
    [b"step,loss\n0,1.0\n1,0.9\n2,0.8\n", b"\x89PNG\r\n\x1a\n" + bytes(range(200)), b"{}" * 40],
)
def test_a_file_that_is_no_event_file_is_refused_with_its_name(tmp_path, content):
    with pytest.raises(RecordError, match="corrupt event file at byte 0") as caught:
        read_event_file(write(tmp_path, content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("event", [b"\x0a\x03abc", b"\x09\x00", b"\xff" * 12, b"\x2a\x7fshort"])
def test_records_of_another_kind_are_refused_with_the_byte(tmp_path, frame, event):
    """A TFRecord of examples has right checksums, too."""
    header = encoding.file_header(1.0)
    with pytest.raises(RecordError, match=rf"record at byte {len(header)} is not a TensorBoard event"):
        read_event_file(write(tmp_path, header + frame(event)))


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(RecordError, match="cannot read"):
        read_event_file(tmp_path / "events.out.tfevents.9")


def test_an_empty_file_holds_nothing(tmp_path):
    found = read_event_file(write(tmp_path, b""))
    assert (found.scalars, found.torn_at) == ({}, None)
