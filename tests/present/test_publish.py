import json
import os
from pathlib import Path

import pytest

from stabilimeter.present.publish import publish, write_text


def test_publish_leaves_the_json_and_the_summary_runs_and_nothing_else(build, tmp_path):
    published = publish(build.summary(build.group("lr=0.1"), build.failed("lr=1.0")), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["across_seeds", "summary.json"]
    assert published.summary_file == tmp_path / "summary.json"
    assert published.summary_runs == tmp_path / "across_seeds"
    plain = json.loads(published.summary_file.read_text(), parse_constant=pytest.fail)
    assert plain["schema"] == 1
    assert [(group["label"], group["stability"]["score"]) for group in plain["groups"]] == [
        ("lr=0.1", 88.2),
        ("lr=1.0", pytest.approx(20.0)),
    ]
    assert plain["groups"][1]["runs"][0]["incidents"][0]["value"] == "NaN"


def test_publishing_again_replaces(build, tmp_path):
    publish(build.summary(build.group("old")), tmp_path)
    published = publish(build.summary(build.group("new")), tmp_path)
    assert [group["label"] for group in json.loads(published.summary_file.read_text())["groups"]] == ["new"]
    assert sorted(path.name for path in published.summary_runs.iterdir() if path.is_dir()) == ["new"]


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    target = tmp_path / "summary.json"
    write_text(target, "old")
    monkeypatch.setattr("pathlib.Path.replace", lambda self, other: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_text(target, "new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs /dev/fd")
def test_a_pipe_is_written_to_and_not_replaced():
    reader, writer = os.pipe()
    write_text(Path(f"/dev/fd/{writer}"), "text")
    os.close(writer)
    with os.fdopen(reader) as file:
        assert file.read() == "text"
