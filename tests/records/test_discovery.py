import os

import pytest

from stabilimeter.records.discovery import SUMMARY_DIR, discover, find_runs, natural_key, significant_parts
from stabilimeter.records.manifest import Manifest, RunStatus
from stabilimeter.records.run_source import Source
from stabilimeter.records.writer import RunWriter

LOSS = {"loss": {0: 1.0, 1: 0.5}}


def found(root):
    return [(run.path.relative_to(root).as_posix(), run.source) for run in find_runs(root)]


def unread(root):
    return [(item.path.relative_to(root).as_posix(), item.reason) for item in discover(root).unread]


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


def test_a_jsonl_log_beside_a_csv_log_of_the_same_run(tmp_path):
    csv_log(tmp_path / "seed_0" / "metrics.csv")
    (tmp_path / "seed_0" / "metrics.jsonl").write_text('{"step": 0, "loss": 1.0}\n')
    (tmp_path / "seed_1").mkdir()
    (tmp_path / "seed_1" / "log.jsonl").write_text('{"step": 0, "loss": 1.0}\n')
    assert found(tmp_path) == [("seed_0/metrics.csv", Source.CSV), ("seed_1/log.jsonl", Source.JSONL)]
    assert unread(tmp_path) == [("seed_0/metrics.jsonl", "the same run is read from its CSV log")]


def trainer_state(folder, step):
    folder.mkdir(parents=True)
    text = f'{{"global_step": {step}, "log_history": [{{"step": {step}, "loss": 1.0}}]}}'
    (folder / "trainer_state.json").write_text(text)


def test_the_checkpoints_of_a_trainer_are_one_run(tmp_path, event_file):
    for seed in (0, 1):
        for step in (500, 1000):
            trainer_state(tmp_path / f"seed_{seed}" / f"checkpoint-{step}", step)
    trainer_state(tmp_path / "final", 1000)
    event_file(LOSS, folder="seed_0/runs/Nov23_10-00-00_host")
    (tmp_path / "seed_0" / "eval.csv").write_text("epoch,f1\n1,0.5\n")
    (tmp_path / "unrelated" / "checkpoint-1").mkdir(parents=True)
    assert found(tmp_path) == [
        ("final", Source.TRAINER_STATE),
        ("seed_0", Source.TRAINER_STATE),
        ("seed_1", Source.TRAINER_STATE),
    ]
    assert unread(tmp_path) == [
        ("seed_0/eval.csv", "trainer_state.json beside it is read"),
        ("seed_0/runs/Nov23_10-00-00_host", "trainer_state.json above it is read"),
    ]
    assert found(tmp_path / "seed_0" / "checkpoint-500") == [(".", Source.TRAINER_STATE)]


def test_runs_of_a_file_store_but_not_deleted_ones(tmp_path):
    for run, stage in (("aaa", "active"), ("bbb", "deleted")):
        (tmp_path / "mlruns" / "0" / run / "metrics").mkdir(parents=True)
        (tmp_path / "mlruns" / "0" / run / "meta.yaml").write_text(f"lifecycle_stage: {stage}\nrun_name: n\n")
        (tmp_path / "mlruns" / "0" / run / "artifacts").mkdir()
        csv_log(tmp_path / "mlruns" / "0" / run / "artifacts" / "table.csv")
    (tmp_path / "mlruns" / "0" / "meta.yaml").write_text("name: Default\n")
    (tmp_path / "mlruns" / ".trash").mkdir()
    assert found(tmp_path) == [("mlruns/0/aaa", Source.MLFLOW)]
    assert find_runs(tmp_path)[0].name == "n"
    assert unread(tmp_path) == [("mlruns/0/bbb", "deleted in MLflow")]


def test_the_runs_of_exports(tmp_path):
    (tmp_path / "base").mkdir()
    for metric in ("loss", "acc"):
        names = [f"{run} - {metric}{part}" for run in ("../x", "y/1") for part in ("", "__MIN", "__MAX")]
        text = ",".join(["Step", *names]) + "\n0,1,1,1,2,2,2\n"
        (tmp_path / "base" / f"{metric}.csv").write_text(text)
    runs = find_runs(tmp_path)
    assert [(run.path.parent, run.source, run.name) for run in runs] == [
        (tmp_path / "base", Source.EXPORT, "../x"),
        (tmp_path / "base", Source.EXPORT, "y/1"),
    ]
    assert all(sorted(run.exported.scalars) == ["acc", "loss"] for run in runs)
    (only,) = {run.path.parent for run in find_runs(tmp_path / "base" / "loss.csv")}
    assert only == tmp_path / "base" / "loss.csv"


def test_logs_that_cannot_be_read_are_told_with_the_reason(tmp_path):
    for name, text in {
        "predictions.csv": "id,label\n1,cat\n",
        "nothing.csv": "",
        "train.jsonl": '{"text": "x"}\n',
        "run-1.wandb": "binary",
        "mlflow.db": "binary",
        "chart.csv": "Relative Time (Process),a - loss,a - loss__MIN,a - loss__MAX\n",
        "notes.txt": "step,loss\n",
        "config.json": "{}",
    }.items():
        (tmp_path / name).write_text(text)
    assert found(tmp_path) == []
    assert unread(tmp_path) == [
        ("mlflow.db", "MLflow's database; download the charts of its runs as CSV"),
        ("nothing.csv", "empty, or no text"),
        ("predictions.csv", "no step column"),
        ("run-1.wandb", "W&B's own format; export the charts of its runs as CSV"),
        ("train.jsonl", "no step in its lines"),
        ("chart.csv", "a W&B chart over 'Relative Time (Process)'; export it over the step"),
    ]


def test_what_is_no_file_is_not_opened(tmp_path):
    for name in ("pipe.csv", "pipe.jsonl", "trainer_state.json"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "folder.csv").mkdir()
    assert discover(tmp_path) == ([], [])


def test_logs_beside_event_files_are_told_and_other_files_are_not(tmp_path, event_file):
    event_file(LOSS, folder="a")
    csv_log(tmp_path / "a" / "measurements.csv")
    csv_log(tmp_path / "a" / "predictions.csv", header="id,label")
    csv_log(tmp_path / "a" / "beneath" / "metrics.csv")
    assert unread(tmp_path) == [("a/measurements.csv", "event files beside it are read")]


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("lr=0.1/seed=0", ("lr=0.1", "seed=0")),
        ("seed_0/lightning_logs/version_3", ("seed_0",)),
        ("a/csv/version_0/metrics.csv", ("a",)),
        ("a/study.v1.csv", ("a", "study.v1")),
        ("mlruns/0/abc", ("0", "abc")),
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
