import numpy as np
import pytest
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.util.tensor_util import make_ndarray

from stabilimeter.records.events import encoding


def tensorboard_events(tmp_path, content):
    """What TensorBoard's own reader, which checks checksums, makes of ``content``."""
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(content)
    return [Event.FromString(record) for record in RawEventFileLoader(str(path)).Load()]


def float32(value):
    return float(np.float32(value))


def test_a_block_is_one_event_per_step_with_every_value(tmp_path, rng):
    steps = np.array([0, 1, 127, 128, 16_383, 16_384, 2**21 - 1, 2**21, 2**35 - 1, 2**35, 2**53 + 1])
    tags = ["a", "b/ü", "c" * 200]
    values = rng.normal(size=(len(steps), 3))
    values[2] = [np.nan, np.inf, -np.inf]
    times = 1.7e9 + rng.random(len(steps))
    events = tensorboard_events(tmp_path, encoding.scalar_block(tags, steps, values, times))
    assert [event.step for event in events] == steps.tolist()
    assert [event.wall_time for event in events] == times.tolist()
    assert all([value.tag for value in event.summary.value] == tags for event in events)
    found = np.array([[value.simple_value for value in event.summary.value] for event in events])
    np.testing.assert_array_equal(found, values.astype(np.float32))


def test_what_was_not_logged_is_absent_and_nan_is_not(tmp_path, rng):
    values = rng.normal(size=(40, 5))
    values[rng.random((40, 5)) < 0.2] = np.nan
    logged = rng.random((40, 5)) < 0.5
    logged[7] = False
    tags = list("abcde")
    steps = np.arange(100, 140)
    events = tensorboard_events(tmp_path, encoding.scalar_block(tags, steps, values, steps * 1.0, logged))
    assert [event.step for event in events] == [step for step, row in zip(steps, logged, strict=True) if row.any()]
    for event in events:
        row = event.step - 100
        found = {value.tag: value.simple_value for value in event.summary.value}
        expected = {tag: float32(values[row, column]) for column, tag in enumerate(tags) if logged[row, column]}
        assert found.keys() == expected.keys()
        np.testing.assert_array_equal(list(found.values()), list(expected.values()))


def test_a_number_beyond_float32_stays_finite(tmp_path):
    values = np.array([[1.0, 1e39], [2.0, np.inf]])
    first, second = tensorboard_events(
        tmp_path, encoding.scalar_block(["a", "perplexity"], np.array([1, 2]), values, np.zeros(2))
    )
    assert first.summary.value[0].simple_value == 1.0
    assert make_ndarray(first.summary.value[1].tensor).item() == 1e39
    assert first.summary.value[1].metadata.plugin_data.plugin_name == "scalars"
    assert second.summary.value[1].simple_value == np.inf


@pytest.mark.parametrize(
    ("values", "dtype"), [([1.5, np.nan, np.inf], np.float32), ([1e300, 0.0], np.float64), ([], np.float32)]
)
def test_vectors_are_tensors_that_tensorboard_understands(tmp_path, values, dtype):
    summary = encoding.vector_value("grad/layer_norms", np.array(values))
    (event,) = tensorboard_events(tmp_path, encoding.summary_event(5.0, 3, summary))
    array = make_ndarray(event.summary.value[0].tensor)
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, values)
    assert event.summary.value[0].metadata.plugin_data.plugin_name == encoding.VECTOR_PLUGIN


def test_text_header_and_session_start(tmp_path):
    content = (
        encoding.file_header(1.0)
        + encoding.session_start(2.0, 300)
        + encoding.summary_event(3.0, 7, encoding.text_value("incidents", "**spike** ä"))
    )
    header, session, text = tensorboard_events(tmp_path, content)
    assert (header.file_version, header.wall_time) == ("brain.Event:2", 1.0)
    assert (session.session_log.status, session.step) == (SessionLog.START, 300)
    assert make_ndarray(text.summary.value[0].tensor).item().decode() == "**spike** ä"
    assert text.summary.value[0].metadata.plugin_data.plugin_name == "text"


def test_any_encoded_summary_can_be_framed(tmp_path):
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="custom_scalars"))
    tensor = TensorProto(dtype="DT_STRING", string_val=[b"layout"])
    summary = Summary(value=[Summary.Value(tag="custom_scalars__config__", metadata=metadata, tensor=tensor)])
    (event,) = tensorboard_events(tmp_path, encoding.summary_event(0.0, 0, summary.SerializeToString()))
    assert event.summary == summary


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**32, 2**63 - 1, -1])
def test_varints_are_those_of_protocol_buffers(number):
    assert b"\x10" + encoding.varint(number) == (Event(step=number).SerializeToString() or b"\x10\x00")


def test_an_empty_block_is_nothing_and_arrays_may_be_strided():
    steps, values, times = np.arange(120, 136), np.arange(16.0)[:, None], np.arange(16.0)
    assert encoding.scalar_block(["a"], steps[:0], values[:0], times[:0]) == b""
    whole = encoding.scalar_block(["a"], steps[::2].copy(), values[::2].copy(), times[::2].copy())
    assert encoding.scalar_block(["a"], steps[::2], values[::2], times[::2]) == whole
