import json

import numpy as np
import pytest

from stabilimeter.callbacks.recording.watch import Watch
from stabilimeter.stats.detection import detect
from stabilimeter.stats.incident import Kind


def series():
    values = np.random.default_rng(0).normal(2.0, 0.1, 300)
    values[100] = 9.0
    values[150] = np.nan
    values[200:203] = 8.0
    values[299] = 50.0
    return values


def evidence_of(start):
    return lambda i: {"row": start + i}


@pytest.mark.parametrize("block", [1, 7, 300])
def test_blocks_and_resumes_find_what_one_pass_over_the_series_finds(block):
    values, watch, found = series(), Watch(), []
    for at in range(0, 300, block):
        part = values[at : at + block]
        found += watch.extend("loss", range(at, at + len(part)), part.tolist(), evidence_of(at))
        resumed = Watch()
        resumed.load_state_dict(json.loads(json.dumps(watch.state_dict())))
        watch = resumed
    found += watch.finish()
    expected = detect(range(300), values, key="loss")
    assert [(i.kind, i.step, i.end_step) for i in found] == [(i.kind, i.step, i.end_step) for i in expected]
    assert [i.step for i in found] == [100, 150, 200, 299]
    assert [i.evidence["row"] for i in found] == [100, 150, 200, 299]
    assert tuple(watch.first_nonfinite) == ("loss", 150)


@pytest.mark.parametrize("block", [1, 7, 50, 330])
def test_a_second_signal_is_looked_at_in_blocks_and_after_resumes_as_in_one_pass(block):
    values, norms = series_with_a_norm()
    watch, found = Watch(), []
    for at in range(0, 330, block):
        part = slice(at, at + block)
        steps = range(at, at + len(values[part]))
        found += watch.extend("loss", steps, values[part], evidence_of(at), beside=norms[part])
        resumed = Watch()
        resumed.load_state_dict(json.loads(json.dumps(watch.state_dict())))
        watch = resumed
    found += watch.finish()
    expected = detect(range(330), values, key="loss", beside=norms)
    assert [(i.kind, i.step, i.end_step) for i in found] == [(i.kind, i.step, i.end_step) for i in expected]
    assert expected != detect(range(330), values, key="loss")


def series_with_a_norm():
    """A loss with a gap, and a turn within its noise that the norm shows as well, though not at every step."""
    one, other = np.random.default_rng(3).standard_normal((2, 330))
    values, norms = 2.0 + 0.1 * one, np.exp(0.2 * other)
    values[100], values[150] = 9.0, np.nan
    values[300:] += 0.1
    norms[300:] *= 1.6
    beside = norms.tolist()
    beside[50::25] = [None] * len(beside[50::25])
    return values.tolist(), beside


def test_a_calm_series_has_no_incident():
    watch = Watch()
    calm = np.random.default_rng(0).normal(2.0, 0.1, 300).tolist()
    assert watch.extend("loss", range(300), calm, evidence_of(0)) + watch.finish() == []
    assert watch.first_nonfinite is None


def test_without_direction_only_what_is_not_finite_is_an_incident():
    watch = Watch()
    values = series().tolist()
    found = watch.extend("acc", range(300), values, evidence_of(0), mode=None) + watch.finish()
    assert [(i.kind, i.step) for i in found] == [(Kind.NONFINITE, 150)]


@pytest.mark.parametrize("block", [1, 7, 50])
@pytest.mark.parametrize("outgrown", [False, True])
def test_a_slow_incident_has_the_evidence_of_where_it_was_noticed(block, outgrown):
    values, watch, found = np.random.default_rng(0).normal(2.0, 0.1, 400), Watch(), []
    values[300:] += 0.3
    if outgrown:
        values[350:] += 10.0
    for at in range(0, 400, block):
        part = values[at : at + block]
        found += watch.extend("loss", range(at, at + len(part)), part.tolist(), evidence_of(at))
    (incident,) = found + watch.finish()
    assert 290 <= incident.step <= 303
    assert 303 <= incident.evidence["noticed_step"] <= 312
    assert incident.evidence["row"] == incident.evidence["noticed_step"]
