import struct

import numpy as np
import pytest

from stabilimeter.records.events import encoding
from stabilimeter.records.events.chunks import checked_events
from stabilimeter.records.events.frames import find_frames
from stabilimeter.records.record_error import RecordError


def bytes_of(content):
    return np.frombuffer(content, np.uint8)


def walked(content):
    """Offsets found by following the lengths one by one."""
    starts, at = [], 0
    while at < len(content):
        starts.append(at)
        at += struct.unpack_from("<Q", content, at)[0] + 16
    return starts


def placed(found):
    """Position and offset of every frame that was found."""
    return {
        order + place: at + sum(pattern.sizes[:place])
        for pattern in found.patterns
        for at, order in zip(pattern.at.tolist(), pattern.order.tolist(), strict=True)
        for place in range(len(pattern.sizes))
    }


def starts_of(found):
    """Offsets of the frames, in order; each is in one pattern, once."""
    where = placed(found)
    assert sorted(where) == list(range(found.total))
    assert found.total == sum(len(pattern.at) * len(pattern.sizes) for pattern in found.patterns)
    return [where[order] for order in range(found.total)]


def events_of(chunks):
    """Every event by its position in the file, with where its frame starts."""
    seen = {}
    for chunk in chunks:
        assert (np.diff(chunk.order) > 0).all()
        assert chunk.varying.tolist() == np.bitwise_or.reduce(chunk.rows ^ chunk.rows[0], axis=0).tolist()
        for row, at, order in zip(chunk.rows, chunk.at.tolist(), chunk.order.tolist(), strict=True):
            for place, (begin, end) in enumerate(chunk.events):
                assert order + place not in seen
                seen[order + place] = at + begin - 12, row[begin:end].tobytes()
    return seen


def pattern(name, rng):
    """Lengths of the events of a log."""
    if name == "one length":
        return [40] * 3000
    if name == "cycle of ten":
        return [40, 41, 44, 40, 40, 50, 33, 40, 41, 42] * 400
    if name == "long cycle":
        return list(rng.integers(20, 60, 300)) * 12
    if name == "evaluation now and then":
        return ([40, 41, 42] * 50 + [70, 71]) * 30
    if name == "a step more digits":
        return [40, 41] * 500 + [41, 42] * 500 + [42, 43] * 500
    if name == "random":
        return list(rng.integers(20, 60, 3000))
    if name == "looks like a cycle, then shifts":
        return [40] * 200 + [41] + [40] * 200 + [40, 41] * 100
    return []


PATTERNS = [
    "one length", "cycle of ten", "long cycle", "evaluation now and then", "a step more digits", "random",
    "looks like a cycle, then shifts", "empty",
]  # fmt: skip


@pytest.mark.parametrize("name", PATTERNS)
def test_every_frame_is_found_and_every_event_comes_back_once(rng, name):
    events = [rng.bytes(length) for length in pattern(name, rng)]
    content = b"".join(encoding.frame(event) for event in events)
    found = find_frames(bytes_of(content))
    assert starts_of(found) == walked(content)
    assert found.end == len(content)
    seen = events_of(checked_events(bytes_of(content), found, "log"))
    assert [seen[order] for order in range(len(events))] == list(zip(walked(content), events, strict=True))
    assert len(seen) == len(events)


def test_a_log_that_repeats_itself_is_read_in_few_patterns(rng):
    """Ten tags and an evaluation after every fiftieth step: one comparison per stretch, not one step per frame."""
    lengths = pattern("cycle of ten", rng)[:500]
    content = b"".join(encoding.frame(bytes(length)) for length in (lengths + [77]) * 20)
    found = find_frames(bytes_of(content))
    assert {(len(one.sizes), len(one.at)) for one in found.patterns} == {(10, 1000), (1, 20)}


@pytest.mark.parametrize("name", ["cycle of ten", "random"])
def test_a_wrong_byte_is_reported_at_the_frame_it_is_in(rng, name):
    content = b"".join(encoding.frame(rng.bytes(length)) for length in pattern(name, rng)[:500])
    starts = walked(content)
    for at in rng.choice(len(content), 300, replace=False):
        flipped = bytearray(content)
        flipped[at] ^= 1 << rng.integers(8)
        buffer = bytes_of(bytes(flipped))
        frame = max(start for start in starts if start <= at)
        with pytest.raises(RecordError, match=rf"^log: corrupt event file at byte {frame} "):
            list(checked_events(buffer, find_frames(buffer), "log"))


def test_two_wrong_bytes_are_reported_at_the_first(rng):
    content = bytearray(b"".join(encoding.frame(rng.bytes(length)) for length in [30, 40, 30, 40] * 5))
    starts = walked(bytes(content))
    content[starts[11] + 20] ^= 1
    content[starts[6] + 20] ^= 1
    buffer = bytes_of(bytes(content))
    with pytest.raises(RecordError, match=f"at byte {starts[6]} "):
        list(checked_events(buffer, find_frames(buffer), "log"))


def test_a_file_cut_anywhere_gives_the_events_before_the_cut(rng):
    content = b"".join(encoding.frame(rng.bytes(length)) for length in [30, 31, 40, 30, 31])
    starts = walked(content)
    ends = [*starts[1:], len(content)]
    for cut in range(len(content) + 1):
        buffer = bytes_of(content[:cut])
        found = find_frames(buffer)
        whole = sum(limit <= cut for limit in ends)
        assert starts_of(found) == starts[:whole]
        assert found.end == ([0, *ends][whole])
        assert len(events_of(checked_events(buffer, found, "log"))) == whole


def test_zeros_at_the_end_are_what_a_power_cut_leaves(rng):
    content = b"".join(encoding.frame(rng.bytes(length)) for length in [30, 31, 40])
    for zeros in (1, 11, 12, 16, 17, 4096):
        buffer = bytes_of(content + bytes(zeros))
        found = find_frames(buffer)
        assert (found.total, found.end) == (3, len(content))
        assert len(events_of(checked_events(buffer, found, "log"))) == 3
    buffer = bytes_of(content + bytes(40) + encoding.frame(b"more"))
    with pytest.raises(RecordError, match=f"at byte {len(content)} "):
        list(checked_events(buffer, find_frames(buffer), "log"))
