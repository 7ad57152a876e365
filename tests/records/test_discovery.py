import pytest

from stabilimeter.records.discovery import SUMMARY_DIR, Source, find_runs, natural_key, significant_parts
from stabilimeter.records.manifest import Manifest, RunStatus
from stabilimeter.records.writer import RunWriter

LOSS = {"loss": {0: 1.0, 1: 0.5}}


def found(root):
    return [(run.path.relative_to(root).as_posix(), run.source) for run in find_runs(root)]


def csv_log(path, header="step,loss"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{header}\n0,1.0\n")


def test_each_kind_of_run_and_nothing_beneath_it(tmp_path, event_file):
    RunWriter(tmp_path / "ours" / "seed=0", Manifest()).close(RunStatus.COMPLETED)
    event_file(LOSS, folder="ours/seed=0/lightning_logs/version_0")
    event_file(LOSS, folder="theirs/a")
    event_file(LOSS, folder="theirs/a/beneath")
    csv_log(tmp_path / "theirs" / "a" / "measurements.csv")
    csv_log(tmp_path / "tables" / "r10.csv")
    csv_log(tmp_path / "tables" / "r9.csv")
    csv_log(tmp_path / "tables" / "predictions.csv", header="id,label")
    (tmp_path / "tables" / "summary.json").write_text("{}")
    assert found(tmp_path) == [
        ("ours/seed=0", Source.RECORD),
        ("tables/r9.csv", Source.CSV),
        ("tables/r10.csv", Source.CSV),
        ("theirs/a", Source.EVENTS),
    ]


def test_a_table_beside_the_run_folders_does_not_hide_them(tmp_path, event_file):
    event_file(LOSS, folder="seed_0")
    csv_log(tmp_path / "overview.csv")
    assert found(tmp_path) == [("overview.csv", Source.CSV), ("seed_0", Source.EVENTS)]


def test_our_summaries_and_hidden_folders_are_no_runs(tmp_path, event_file):
    event_file(LOSS, folder=SUMMARY_DIR)
    event_file(LOSS, folder=f"{SUMMARY_DIR}/group")
    event_file(LOSS, folder=".cache/x")
    event_file(LOSS, folder="real")
    assert found(tmp_path) == [("real", Source.EVENTS)]


def test_two_loggers_of_one_run_are_one_run(tmp_path, event_file):
    for seed in (0, 1):
        event_file(LOSS, folder=f"seed_{seed}/tensorboard/version_0")
        csv_log(tmp_path / f"seed_{seed}" / "csv" / "version_0" / "metrics.csv")
    csv_log(tmp_path / "seed_2" / "csv" / "version_0" / "metrics.csv")
    assert found(tmp_path) == [
        ("seed_0/tensorboard/version_0", Source.EVENTS),
        ("seed_1/tensorboard/version_0", Source.EVENTS),
        ("seed_2/csv/version_0/metrics.csv", Source.CSV),
    ]


def test_links_count_once_and_cannot_lead_in_circles(tmp_path, event_file):
    event_file(LOSS, folder="sweep/version_0")
    event_file(LOSS, folder="elsewhere/run")
    root = tmp_path / "sweep"
    (root / "latest").symlink_to(root / "version_0")
    (root / "other").symlink_to(tmp_path / "elsewhere")
    (root / "other_again").symlink_to(tmp_path / "elsewhere" / "run")
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "elsewhere")
    assert found(root) == [("other/run", Source.EVENTS), ("version_0", Source.EVENTS)]


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("lr=0.1/seed=0", ("lr=0.1", "seed=0")),
        ("seed_0/lightning_logs/version_3", ("seed_0",)),
        ("a/csv/version_0/metrics.csv", ("a",)),
        ("a/study.v1.csv", ("a", "study.v1")),
        ("a/checkpoint-500/trainer_state.csv", ("a",)),
        ("version_1", ()),
    ],
)
def test_parts_of_a_path_that_say_something(tmp_path, path, parts):
    if path.endswith(".csv"):
        csv_log(tmp_path / path)
    assert significant_parts(tmp_path / path, tmp_path) == parts


def test_natural_order():
    names = ["seed=10", "seed=9", "seed", "10", "9", "a10b2", "a10b1"]
    assert sorted(names, key=natural_key) == ["9", "10", "a10b1", "a10b2", "seed", "seed=9", "seed=10"]
