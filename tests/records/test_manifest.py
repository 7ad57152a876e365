import json
import math
from dataclasses import fields

import pytest

from stabilimeter.records.manifest import SCHEMA, Manifest, MonitorCost, RunStatus, Session, SignalSpec, read_manifest
from stabilimeter.records.record_error import RecordError

FULL = Manifest(
    run_id="r1",
    seed=0,
    config={"lr": 0.1, "weights": [1, math.inf]},
    group="9f3c",
    git_commit="abc",
    git_dirty=True,
    packages={"torch": "2.4"},
    device="cpu",
    world_size=2,
    planned_steps=100,
    monitor="val/accuracy",
    mode="max",
    signals=(SignalSpec("grad/layer_norms", "", "before clipping", "norm", True, ("a", "b")),),
    hostname="h",
    pid=12,
    process_start="345",
    started=1.0,
    heartbeat=2.0,
    sessions=(Session(1.5, RunStatus.FAILED, 9, 1.7, 10),),
    status=RunStatus.STOPPED,
    reason="early stopping",
    last_step=99,
    ended=3.0,
    monitor_cost=MonitorCost(0.5, 0.01, 20, 4096),
)


def test_every_field_survives_the_file(tmp_path):
    default = Manifest()
    assert all(
        getattr(FULL, item.name) != getattr(default, item.name) for item in fields(Manifest) if item.name != "schema"
    )
    FULL.write(tmp_path / "manifest.json")
    assert read_manifest(tmp_path / "manifest.json") == FULL
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_the_file_is_strict_json_and_starts_with_the_schema(tmp_path):
    plain = json.loads(FULL.to_json(), parse_constant=pytest.fail)
    assert next(iter(plain)) == "schema"
    assert plain["status"] == "stopped"
    assert plain["config"]["weights"] == [1, "Infinity"]


def test_a_field_of_a_later_version_is_no_obstacle():
    plain = json.loads(FULL.to_json())
    plain["colour"] = "red"
    plain["signals"][0]["colour"] = "red"
    assert Manifest.from_json(json.dumps(plain)) == FULL


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps({"schema": SCHEMA + 1}), "is newer than"),
        ("{}", "no schema number"),
        ("[1, 2]", "no schema number"),
        ('{"schema": 1, "status": "asleep"}', "asleep"),
        ('{"schema": 1, "signals": [{"key": "a"}]}', "not a manifest"),
        ('{"schema": 1', "cannot read the manifest"),
    ],
)
def test_what_is_no_manifest_is_refused_with_the_path(tmp_path, text, message):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(RecordError, match=message) as caught:
        read_manifest(tmp_path / "manifest.json")
    assert str(tmp_path / "manifest.json") in str(caught.value)
    assert "\n" not in str(caught.value)
