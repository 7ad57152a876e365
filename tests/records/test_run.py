import pytest

from stabilimeter import read_run
from stabilimeter.records.manifest import Manifest, RunStatus
from stabilimeter.records.record_error import RecordError
from stabilimeter.records.writer import RunWriter


def test_a_folder_of_event_files(event_file):
    path = event_file({"loss": {0: 2.0, 10: 1.0}, "val/acc": {10: 0.5}}, folder="seed_3/version_0")
    run = read_run(path.parent)
    assert (run.label, run.seed, run.status, run.manifest, run.incidents) == (
        "seed_3",
        "seed_3",
        RunStatus.UNKNOWN,
        None,
        (),
    )
    assert run.keys() == ("loss", "val/acc")
    assert "loss" in run
    assert "acc" not in run
    assert len(run) == 2
    assert list(run) == list(run.keys())
    assert run["val/acc"].values.tolist() == [0.5]


def test_an_event_file_or_a_csv_log_by_name(event_file, tmp_path):
    path = event_file({"loss": {0: 2.0}}, folder="study_1")
    assert (read_run(path).label, read_run(path)["loss"].values.tolist()) == ("study_1", [2.0])
    (tmp_path / "trial_7.csv").write_text("step,loss\n0,1.5\n")
    run = read_run(tmp_path / "trial_7.csv")
    assert (run.label, run.status, run["loss"].values.tolist()) == ("trial_7", RunStatus.UNKNOWN, [1.5])


def test_the_record_folder_itself_and_a_run_deeper_down(tmp_path):
    RunWriter(tmp_path / "lr=1" / "seed=4", Manifest(seed=4)).close(RunStatus.COMPLETED)
    for path in (tmp_path, tmp_path / "lr=1" / "seed=4", tmp_path / "lr=1" / "seed=4" / "stability"):
        run = read_run(path)
        assert (run.label, run.seed, run.path.name) == ("seed=4", 4, "seed=4")


def test_a_missing_key_names_near_ones(event_file):
    run = read_run(event_file({"train/loss": {0: 1.0}, "val/loss": {0: 1.0}, "epoch": {0: 0.0}}))
    with pytest.raises(KeyError, match=r"'train_loss' is not in .*near names: train/loss"):
        run["train_loss"]
    with pytest.raises(KeyError, match="it holds no series"):
        run.vectors("grad/layer_norms")


def test_vector_elements_without_names_are_numbered(tmp_path):
    writer = RunWriter(tmp_path, Manifest())
    writer.write_vector("v", 0, [1.0, 2.0])
    writer.close(RunStatus.COMPLETED)
    assert read_run(tmp_path).vectors("v")[2] == ("0", "1")
    assert read_run(tmp_path).vector_keys() == ("v",)


def test_the_seed_that_hydra_noted(event_file):
    path = event_file({"loss": {0: 1.0}}, folder="run")
    hydra = path.parent / ".hydra"
    hydra.mkdir()
    (hydra / "overrides.yaml").write_text("- seed=7\n- model.lr=0.1\n")
    assert read_run(path.parent).seed == 7


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda root: root / "missing", "does not exist"),
        (lambda root: root, "no run in"),
        (lambda root: _touch(root / "notes.txt"), "is no log: event files"),
    ],
)
def test_what_is_no_run_is_refused_in_one_line(tmp_path, make, message):
    with pytest.raises(RecordError, match=message) as caught:
        read_run(make(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_jsonl_log_and_a_trainer_state_by_name(tmp_path):
    (tmp_path / "trial_7.jsonl").write_text('{"step": 3, "loss": 1.5}\n')
    run = read_run(tmp_path / "trial_7.jsonl")
    assert (run.label, run.status, run["loss"].steps.tolist()) == ("trial_7", RunStatus.UNKNOWN, [3])
    folder = tmp_path / "seed_1" / "checkpoint-3"
    folder.mkdir(parents=True)
    (folder / "trainer_state.json").write_text('{"log_history": [{"step": 3, "loss": 1.5}]}')
    for path in (folder.parent, folder, folder / "trainer_state.json"):
        run = read_run(path)
        assert (run.label, run.seed, run["loss"].values.tolist()) == ("seed_1", "seed_1", [1.5])


def test_the_seed_among_the_parameters_of_a_search(tmp_path):
    text = '{"log_history": [{"step": 3, "loss": 1.5}], "trial_params": {"seed": 4, "lr": 0.1}}'
    (tmp_path / "trainer_state.json").write_text(text)
    run = read_run(tmp_path)
    assert (run.seed, run.overrides.others) == (4, ("lr=0.1",))


def test_what_was_not_read_is_a_note_of_the_run(tmp_path, event_file):
    path = event_file({"loss": {0: 2.0}}, folder="study_1")
    (path.parent / "measurements.csv").write_text("step,loss\n0,1.0\n")
    assert read_run(path.parent).notes == ("not read (event files beside it are read): measurements.csv",)


def test_several_runs_are_refused_with_their_number(event_file, tmp_path):
    event_file({"loss": {0: 1.0}}, folder="a")
    event_file({"loss": {0: 1.0}}, folder="b")
    with pytest.raises(RecordError, match="holds 2 runs"):
        read_run(tmp_path)


def test_a_broken_manifest_and_broken_incidents_are_errors(tmp_path):
    writer = RunWriter(tmp_path, Manifest())
    writer.close(RunStatus.COMPLETED)
    (writer.path / "incidents.jsonl").write_text("broken\n")
    with pytest.raises(RecordError, match=r"incidents.jsonl: the line at byte 0"):
        read_run(tmp_path)
    (writer.path / "manifest.json").write_text("{")
    with pytest.raises(RecordError, match="cannot read the manifest"):
        read_run(tmp_path)


def _touch(path):
    path.write_text("")
    return path
