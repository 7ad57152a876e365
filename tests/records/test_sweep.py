import pytest

from stabilimeter import read_sweep
from stabilimeter.records.manifest import Manifest, RunStatus
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.writer import RunWriter

LOSS = {"loss": {0: 1.0, 1: 0.5}}


def groups(sweep):
    return {group.label: [run.label for run in group.runs] for group in sweep.groups}


def ours(path, **manifest):
    writer = RunWriter(path, Manifest(**manifest))
    writer.write_scalars(0, {"a": 1.0})
    writer.close(RunStatus.COMPLETED)


def overrides(folder, *items):
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "overrides.yaml").write_text("".join(f"- {item}\n" for item in items) or "[]\n")


def test_our_sweep_is_grouped_by_the_manifests(tmp_path):
    for lr in ("0.1", "0.01"):
        for seed in (10, 9, 0):
            ours(tmp_path / f"lr={lr}" / f"seed={seed}", seed=seed, group=f"hash-{lr}")
    sweep = read_sweep(tmp_path)
    assert groups(sweep) == {
        "lr=0.1": ["seed=0", "seed=9", "seed=10"],
        "lr=0.01": ["seed=0", "seed=9", "seed=10"],
    }
    assert {group.label: group.key for group in sweep.groups} == {"lr=0.1": "hash-0.1", "lr=0.01": "hash-0.01"}
    assert [run.seed for run in sweep.groups[0].runs] == [0, 9, 10]
    assert sweep.notes == ()
    assert sweep.path == tmp_path


def test_seeds_of_one_configuration_find_each_other_across_folders(tmp_path):
    ours(tmp_path / "seed=0" / "big", seed=0, group="h")
    ours(tmp_path / "seed=1" / "big", seed=1, group="h")
    ours(tmp_path / "big,seed=2", seed=2, group="h")
    (group,) = read_sweep(tmp_path).groups
    assert (group.key, group.label) == ("h", "big")
    assert [run.seed for run in group.runs] == [0, 1, 2]
    assert len(read_sweep(tmp_path, group_by="parent").groups) == 3


def test_two_groups_with_one_label_are_told_apart(tmp_path):
    ours(tmp_path / "x" / "seed=0", seed=0, group="aaaa1111bbbb")
    ours(tmp_path / "x" / "seed=1", seed=1, group="cccc2222dddd")
    assert set(groups(read_sweep(tmp_path))) == {"x [aaaa1111]", "x [cccc2222]"}


def test_a_seed_twice_is_said(tmp_path):
    ours(tmp_path / "a", seed=0, group="h")
    ours(tmp_path / "b", seed=0, group="h")
    assert read_sweep(tmp_path).notes == (f"group {tmp_path.name}: more than one run with seed 0",)


def test_foreign_runs_are_grouped_by_their_folder(tmp_path, event_file):
    for group in ("base", "new"):
        for study in (2, 10, 1):
            event_file(LOSS, folder=f"{group}/study_{study}")
    sweep = read_sweep(tmp_path)
    assert groups(sweep) == {name: ["study_1", "study_2", "study_10"] for name in ("base", "new")}
    assert [run.seed for run in sweep.groups[0].runs] == ["study_1", "study_2", "study_10"]
    assert groups(read_sweep(tmp_path / "base")) == {"base": ["study_1", "study_2", "study_10"]}


def test_boilerplate_is_neither_label_nor_group(tmp_path, event_file):
    for seed in (0, 1):
        event_file(LOSS, folder=f"lr1/seed_{seed}/tensorboard/version_0")
        log = tmp_path / "lr2" / f"seed_{seed}" / "csv" / "version_0" / "metrics.csv"
        log.parent.mkdir(parents=True)
        log.write_text("step,loss\n0,1.0\n")
    assert groups(read_sweep(tmp_path)) == {"lr1": ["seed_0", "seed_1"], "lr2": ["seed_0", "seed_1"]}


def test_runs_that_only_versions_tell_apart_keep_them(tmp_path, event_file):
    for version in (0, 1, 2):
        event_file(LOSS, folder=f"lightning_logs/version_{version}")
    expected = [f"lightning_logs/version_{version}" for version in (0, 1, 2)]
    assert groups(read_sweep(tmp_path)) == {tmp_path.name: expected}


def test_each_csv_file_of_a_folder_is_a_run(tmp_path):
    (tmp_path / "n01").mkdir()
    for name in ("b", "a"):
        (tmp_path / "n01" / f"{name}.csv").write_text("step,val_loss\n0,1.0\n")
    assert groups(read_sweep(tmp_path)) == {"n01": ["a", "b"]}


def test_hydras_overrides_make_the_group_of_a_foreign_sweep(tmp_path, event_file):
    for job, items in enumerate([("lr=1", "seed=0"), ("lr=1", "seed=1"), ("lr=2", "seed=0"), ("lr=2", "seed=1")]):
        event_file(LOSS, folder=f"multirun/{job}/version_0")
        overrides(tmp_path / "multirun" / str(job), *items)
    sweep = read_sweep(tmp_path)
    assert groups(sweep) == {"lr=1": ["0", "1"], "lr=2": ["2", "3"]}
    assert [run.seed for run in sweep.groups[1].runs] == [0, 1]
    assert groups(read_sweep(tmp_path, group_by="parent")) == {"multirun": ["0", "2", "1", "3"]}


def mlflow_run(folder, name, **params):
    (folder / "metrics").mkdir(parents=True)
    (folder / "params").mkdir()
    (folder / "meta.yaml").write_text(f"lifecycle_stage: active\nrun_name: {name}\n")
    (folder / "metrics" / "loss").write_text("17 2.5 0\n18 1.5 1\n")
    for key, value in params.items():
        (folder / "params" / key).write_text(str(value))


def test_the_parameters_in_mlflow_make_the_group(tmp_path):
    for number, (lr, seed) in enumerate([(0.1, 0), (0.1, 1), (0.2, 0), (0.2, 1)]):
        mlflow_run(tmp_path / "mlruns" / "5" / f"id{number}", "baseline", lr=lr, seed=seed, depth=2, log_dir=number)
    sweep = read_sweep(tmp_path)
    assert groups(sweep) == {
        "5/lr=0.1": ["baseline (id0)", "baseline (id1)"],
        "5/lr=0.2": ["baseline (id2)", "baseline (id3)"],
    }
    assert [run.seed for run in sweep.groups[1].runs] == [0, 1]
    assert sweep.groups[0].runs[0]["loss"].values.tolist() == [2.5, 1.5]
    assert sweep.notes == ()
    assert [len(group.runs) for group in read_sweep(tmp_path, group_by="parent").groups] == [4]


def test_one_group_of_parameters_has_the_name_of_its_folder(tmp_path):
    for seed in (0, 1):
        mlflow_run(tmp_path / "exp" / f"id{seed}", f"fox-{seed}", lr=0.1, seed=seed)
    assert groups(read_sweep(tmp_path)) == {"exp": ["fox-0", "fox-1"]}
    assert read_sweep(tmp_path / "exp" / "id0").notes == ()


def test_experiments_are_groups_of_their_own(tmp_path):
    for experiment in ("1", "2"):
        mlflow_run(tmp_path / experiment / "id", "fox", lr=0.1, seed=0)
    sweep = read_sweep(tmp_path)
    assert groups(sweep) == {"1": ["fox"], "2": ["fox"]}
    assert sweep.notes == ()


def test_parameters_that_keep_every_run_alone_are_told(tmp_path):
    for seed in (0, 1):
        mlflow_run(tmp_path / "exp" / f"id{seed}", f"fox-{seed}", tag=f"t{seed}", lr=1)
    sweep = read_sweep(tmp_path)
    assert sorted(groups(sweep)) == ["exp/tag=t0", "exp/tag=t1"]
    assert sweep.notes == ("exp: every run has parameters of its own (tag); if they do not matter, group by parent",)


def test_the_runs_of_an_export_are_a_group(tmp_path):
    header = "Step," + ",".join(f"fox-{n} - loss{part}" for n in (10, 9) for part in ("", "__MIN", "__MAX"))
    (tmp_path / "chart.csv").write_text(f"{header}\n0,2,2,2,3,3,3\n1,1,1,1,2,2,2\n")
    for given in (tmp_path, tmp_path / "chart.csv"):
        (group,) = read_sweep(given).groups
        assert group.label == given.name
        assert [(run.label, run["loss"].values.tolist()) for run in group.runs] == [
            ("fox-9", [3.0, 2.0]),
            ("fox-10", [2.0, 1.0]),
        ]
        assert len({run.path for run in group.runs}) == 2
        assert all(run.path.is_relative_to(given) for run in group.runs)


def test_trainer_states_of_seeds_are_a_group(tmp_path):
    for seed in (0, 1):
        for step in (1, 2):
            folder = tmp_path / "base" / f"seed_{seed}" / f"checkpoint-{step}"
            folder.mkdir(parents=True)
            history = ", ".join(f'{{"step": {done}, "loss": {done + seed}}}' for done in range(1, step + 1))
            (folder / "trainer_state.json").write_text(f'{{"global_step": {step}, "log_history": [{history}]}}')
    sweep = read_sweep(tmp_path)
    assert groups(sweep) == {"base": ["seed_0", "seed_1"]}
    assert [run["loss"].values.tolist() for run in sweep.groups[0].runs] == [[1.0, 2.0], [2.0, 3.0]]


def test_logs_that_were_not_read_are_told_in_one_note(tmp_path, event_file):
    event_file(LOSS, folder="a")
    for number in range(300):
        (tmp_path / f"predictions_{number}.csv").write_text("id,label\n")
    assert read_sweep(tmp_path).notes == (
        "not read (no step column): predictions_0.csv, predictions_1.csv, predictions_2.csv and 297 more",
    )


def test_where_nothing_can_be_read_the_reason_is_told(tmp_path):
    (tmp_path / "runs.csv").write_text("Start Time,Run ID,loss\n")
    with pytest.raises(RecordError, match=r"no run in .*; not read \(no step column\): runs.csv"):
        read_sweep(tmp_path)


def test_progress_counts_every_run(tmp_path, event_file):
    for name in "abc":
        event_file(LOSS, folder=name)
    seen = []
    read_sweep(tmp_path, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_first_look_groups_alike_without_any_series(tmp_path, event_file):
    for seed in (1, 2):
        event_file(LOSS, folder=f"foreign/seed{seed}")
    event_file(LOSS, folder="other/seed1")
    whole, first = read_sweep(tmp_path), read_sweep(tmp_path, with_series=False)
    for one, other in zip(whole.groups, first.groups, strict=True):
        assert (one.key, one.label) == (other.key, other.label)
        assert [(run.path, run.seed) for run in one.runs] == [(run.path, run.seed) for run in other.runs]
    assert {len(run) for group in first.groups for run in group.runs} == {0}
    assert {len(run) for group in whole.groups for run in group.runs} == {1}


def test_a_single_file_or_run_is_a_sweep_of_one(tmp_path, event_file):
    path = event_file(LOSS, folder="runs/study_1")
    for given in (path, path.parent):
        (group,) = read_sweep(given).groups
        assert [run["loss"].values.tolist() for run in group.runs] == [[1.0, 0.5]]
        assert [run.label for run in group.runs] == ["study_1"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [("missing", {}, "does not exist"), ("", {}, "no run in"), ("", {"group_by": "seed"}, "group_by must be")],
)
def test_bad_input_is_refused_in_one_line(tmp_path, name, options, message):
    with pytest.raises(RecordError, match=message) as caught:
        read_sweep(tmp_path / name, **options)
    assert "\n" not in str(caught.value)


def test_one_corrupt_file_is_an_error_and_not_a_missing_seed(tmp_path, event_file):
    event_file(LOSS, folder="a")
    path = event_file(LOSS, folder="b")
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    with pytest.raises(RecordError, match="corrupt event file at byte") as caught:
        read_sweep(tmp_path)
    assert str(path) in str(caught.value)


def test_a_run_that_cannot_be_read_is_an_error_or_left_out_and_named(tmp_path):
    for seed in (0, 1, 2):
        folder = tmp_path / f"seed={seed}"
        folder.mkdir()
        (folder / "metrics.csv").write_text(f"step,loss\n0,{seed}\n")
    torn = tmp_path / "seed=1" / "stability"
    torn.mkdir()
    (torn / "manifest.json").write_text('{"schema"')
    with pytest.raises(RecordError, match=r"seed=1.stability.manifest\.json"):
        read_sweep(tmp_path)
    unreadable = []
    sweep = read_sweep(tmp_path, on_unreadable=lambda path, error: unreadable.append((path.name, type(error))))
    assert unreadable == [("seed=1", RecordError)]
    values = {run.label: run["loss"].values.tolist() for group in sweep.groups for run in group.runs}
    assert values == {"seed=0": [0.0], "seed=2": [2.0]}
