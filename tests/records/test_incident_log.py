import math

import pytest

from stabilimeter.records.incident_log import drop_incidents_from, incident_line, incident_text, read_incidents
from stabilimeter.records.record_error import RecordError
from stabilimeter.stats.incident import Incident, Kind

SPIKE = Incident(Kind.SPIKE, 310, 312, 9.1, 2.0, 0.1, "train/loss", evidence={"lr": 0.1, "layers": ["a"]})
BLOWN = Incident(Kind.NONFINITE, 400, 400, math.inf, 2.0, 0.1, "train/loss", shared=True)


def test_incidents_survive_the_file_in_order_of_steps(tmp_path):
    path = tmp_path / "incidents.jsonl"
    path.write_text(incident_line(BLOWN) + incident_line(SPIKE))
    assert read_incidents(path) == ((SPIKE, BLOWN), None)


def test_unknown_baselines_stay_nan(tmp_path):
    path = tmp_path / "incidents.jsonl"
    path.write_text(incident_line(Incident(Kind.NONFINITE, 0, 0, math.nan, math.nan, math.nan)))
    (incident,), _ = read_incidents(path)
    assert all(math.isnan(number) for number in (incident.value, incident.baseline, incident.scale))


def test_a_missing_file_holds_none(tmp_path):
    assert read_incidents(tmp_path / "incidents.jsonl") == ((), None)


def test_told_twice_counts_once_as_told_last(tmp_path):
    path = tmp_path / "incidents.jsonl"
    longer = Incident(Kind.SPIKE, 310, 320, 9.9, 2.0, 0.1, "train/loss")
    other = Incident(Kind.SPIKE, 310, 310, 9.9, 2.0, 0.1, "grad/norm")
    path.write_text(incident_line(SPIKE) + incident_line(other) + incident_line(longer))
    assert read_incidents(path)[0] == (longer, other)


def test_every_torn_tail_keeps_the_lines_before(tmp_path):
    path = tmp_path / "incidents.jsonl"
    first, second = incident_line(SPIKE).encode(), incident_line(BLOWN).encode()
    for cut in range(len(second)):
        path.write_bytes(first + second[:cut])
        assert read_incidents(path) == ((SPIKE,), len(first) if cut else None)


@pytest.mark.parametrize(
    "line", ["not json", "{}", '{"kind": "hiccup", "step": 1}', '{"kind": "spike", "step": "x", "end_step": 1}', "[]"]
)
def test_a_bad_line_is_refused_with_its_byte(tmp_path, line):
    path = tmp_path / "incidents.jsonl"
    path.write_text(incident_line(SPIKE) + line + "\n" + incident_line(BLOWN))
    with pytest.raises(RecordError, match=rf"line at byte {len(incident_line(SPIKE))} is not an incident"):
        read_incidents(path)


def test_dropping_leaves_what_ended_before(tmp_path):
    path = tmp_path / "incidents.jsonl"
    path.write_text(incident_line(SPIKE) + incident_line(BLOWN))
    drop_incidents_from(path, 313)
    assert read_incidents(path)[0] == (SPIKE,)
    drop_incidents_from(path, 312)
    assert read_incidents(path)[0] == ()
    drop_incidents_from(tmp_path / "missing.jsonl", 0)
    assert [item.name for item in tmp_path.iterdir()] == ["incidents.jsonl"]


def test_in_words():
    assert incident_text(SPIKE) == "**spike** of `train/loss` at steps 310 to 312: 9.1, expected 2"
    unknown = Incident(Kind.NONFINITE, 4, 4, math.nan, math.nan, math.nan, "a")
    assert incident_text(unknown) == "**nonfinite** of `a` at step 4: nan"
