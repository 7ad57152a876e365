import pytest

from stabilimeter.records.events import encoding
from stabilimeter.records.events.decoding import read_event_file
from stabilimeter.records.events.tail import EventTail
from stabilimeter.records.record_error import RecordError


def events(start, stop, tags=("a", "loss")):
    return [encoding.scalars_event(1.0, step, {tag: step + 0.5}) for step in range(start, stop) for tag in tags]


def points(piece):
    found = piece.events
    return {
        tag: list(zip(track.order.tolist(), track.steps.tolist(), track.values.tolist(), strict=True))
        for tag, track in found.scalars.items()
    }


def test_pieces_add_up_to_the_whole_file(tmp_path, rng):
    """Grown byte by byte at random, torn at every look: each point comes once, at its place in the file."""
    content = b"".join([encoding.file_header(1.0), *events(0, 60), encoding.session_start(1.0, 30)])
    path = tmp_path / "events.out.tfevents.1"
    path.touch()
    tail = EventTail(path)
    found, marks, written = {}, [], 0
    while written < len(content):
        more = int(rng.integers(1, 300))
        with path.open("ab") as file:
            file.write(content[written : written + more])
        written += more
        piece = tail.read()
        assert piece.is_last
        marks += piece.events.session_starts
        for tag, new in points(piece).items():
            found.setdefault(tag, []).extend(new)
    whole = read_event_file(path)
    assert found == {
        tag: list(zip(track.order.tolist(), track.steps.tolist(), track.values.tolist(), strict=True))
        for tag, track in whole.scalars.items()
    }
    assert marks == whole.session_starts == [(121, 30)]
    assert tail.position == len(content)
    nothing = tail.read()
    assert not nothing.events.scalars
    assert not nothing.is_first


def test_reads_no_more_than_it_may(tmp_path):
    """Pieces of 1,000 bytes; an event of 5,000 is read all the same."""
    content = [encoding.file_header(1.0), *events(0, 50)]
    content.append(encoding.summary_event(1.0, 50, encoding.text_value("note", "x" * 5000)))
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(b"".join([*content, *events(51, 60)]))
    tail = EventTail(path)
    steps, looks = [], 0
    while True:
        before, piece = tail.position, tail.read(1000)
        looks += 1
        assert tail.position - before <= 1000 or before < len(b"".join(content)) <= tail.position
        assert piece.events.torn_at is None
        if "a" in piece.events.scalars:
            steps += piece.events.scalars["a"].steps.tolist()
        if piece.is_last:
            break
    assert steps == [*range(50), *range(51, 60)]
    assert looks >= len(b"".join(content)) // 8000


@pytest.mark.parametrize("way", ["another file", "the same file, longer", "the same file, shorter", "emptied"])
def test_a_replaced_file_starts_anew(tmp_path, way):
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(b"".join([encoding.file_header(1.0), *events(0, 10)]))
    tail = EventTail(path)
    assert tail.read().is_first
    if way == "another file":
        other = tmp_path / "other"
        other.write_bytes(path.read_bytes())
        other.replace(path)
        expected = list(range(10))
    elif way == "emptied":
        path.write_bytes(b"")
        expected = []
    else:
        expected = list(range(5, 30 if "longer" in way else 8))
        path.write_bytes(b"".join([encoding.file_header(2.0), *events(5, expected[-1] + 1)]))
    piece = tail.read()
    assert piece.is_first
    assert [step for _, step, _ in points(piece).get("a", [])] == expected


def test_a_corrupt_event_is_named_by_its_place_in_the_file_and_tried_again(tmp_path):
    start = b"".join([encoding.file_header(1.0), *events(0, 10)])
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(start)
    tail = EventTail(path)
    tail.read()
    good = b"".join(events(10, 20, ["a"]))
    size = len(good) // 10
    bad = bytearray(good)
    bad[3 * size + size // 2] ^= 1
    path.write_bytes(start + bad)
    for _ in range(2):
        with pytest.raises(RecordError, match=f"at byte {len(start) + 3 * size} "):
            tail.read()
    path.write_bytes(start + good)  # as on a network file system, where a hole is filled later
    assert [step for _, step, _ in points(tail.read())["a"]] == list(range(10, 20))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(RecordError, match="cannot read"):
        EventTail(tmp_path / "events.out.tfevents.1").read()
