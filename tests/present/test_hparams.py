import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from stabilimeter.present.hparams import swept
from stabilimeter.present.tensorboard import write_summary_runs


def scalars(folder):
    events = EventAccumulator(str(folder)).Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


@pytest.fixture
def written(build, tmp_path):
    groups = build.group("model.lr=1e-3,data=a"), build.failed("model.lr=1.0,data=a")
    return write_summary_runs(build.summary(*groups), tmp_path)


def content_of(folder, tag):
    events = EventAccumulator(str(folder)).Reload()
    return events.SummaryMetadata(tag).plugin_data.content


def test_a_group_is_a_row_with_its_overrides(written):
    rows = {}
    for name in ("lr=1e-3", "lr=1.0"):
        content = content_of(written / name, metadata.SESSION_START_INFO_TAG)
        start = metadata.parse_session_start_info_plugin_data(content)
        assert start.group_name == ""  # or rows of other sweeps that are called the same would be averaged with it
        rows[name] = {key: value.number_value for key, value in start.hparams.items()}
    assert rows == {"lr=1e-3": {"model.lr": 0.001}, "lr=1.0": {"model.lr": 1.0}}


def test_columns_are_the_overrides_that_differ_then_the_score_the_metric_and_the_rest(written):
    found = metadata.parse_experiment_plugin_data(content_of(written, metadata.EXPERIMENT_TAG))
    assert [(column.name, list(column.domain_discrete)) for column in found.hparam_infos] == [
        ("model.lr", [0.001, 1.0])
    ]
    assert [(column.display_name, column.name.tag) for column in found.metric_infos][:4] == [
        ("stability", "~score/stability"),
        ("val/accuracy (mean)", "val/accuracy"),
        ("failure rate", "~score/failure_rate"),
        ("lost to failures", "~score/lost_to_failures"),
    ]


def test_each_metric_column_is_a_scalar_that_exists_and_holds_the_groups_value(written, build):
    found = metadata.parse_experiment_plugin_data(content_of(written, metadata.EXPERIMENT_TAG))
    points = scalars(written / "lr=1.0")
    last = {column.display_name: points[column.name.tag][-1] for column in found.metric_infos}
    band = build.group().bands["val/accuracy"]
    assert last == {
        "stability": (999, pytest.approx(20.0)),
        "val/accuracy (mean)": (950, pytest.approx(band.mean[-1])),
        "failure rate": (999, pytest.approx(2 / 3)),
        "lost to failures": (999, 70.0),
        "lost to spikes": (999, pytest.approx(3.1)),
        "lost to noise": (999, 4.0),
        "lost to regression": (999, pytest.approx(3.2)),
        "lost to seed spread": (999, 1.5),
    }


def test_scores_are_sorted_behind_everything_else(written):
    tags = sorted(scalars(written / "lr=1.0"))
    ours = [tag for tag in tags if tag.startswith("~score")]
    assert tags[-len(ours) :] == ours
    assert all(len(scalars(written / "lr=1.0")[tag]) == 1 for tag in ours)


def test_an_undefined_score_leaves_no_point(build, tmp_path):
    undefined = build.stability(None, None, None, failure_rate=None, points_lost={}, reason="too short")
    groups = build.group("lr=1", stability=undefined), build.group("lr=2")
    folder = write_summary_runs(build.summary(*groups), tmp_path)
    assert not [tag for tag in scalars(folder / "lr=1") if tag.startswith("~score")]
    assert scalars(folder / "lr=2")["~score/stability"] == [(999, pytest.approx(88.2))]


@pytest.mark.parametrize("labels", [["base", "tuned"], ["lr=0.1"], ["lr=0.1", "base"]])
def test_groups_that_are_no_sweep_of_overrides_leave_the_tab_alone(build, tmp_path, labels):
    folder = write_summary_runs(build.summary(*map(build.group, labels)), tmp_path)
    for place in (folder, *(path for path in folder.iterdir() if path.is_dir())):
        events = EventAccumulator(str(place)).Reload()
        assert not [tag for tag in events.Tags()["tensors"] if tag.startswith("_hparams_")]
        assert not [tag for tag in events.Tags()["scalars"] if tag.startswith("~score")]


def test_values_have_types_and_groups_may_lack_an_override():
    assert swept(["a.lr=1,clip=true,opt=adam", "a.lr=2e3,clip=false,opt=sgd", "a.lr=1,clip=true,opt=adam,extra=x"]) == [
        {"a.lr": 1.0, "clip": True, "opt": "adam"},
        {"a.lr": 2000.0, "clip": False, "opt": "sgd"},
        {"a.lr": 1.0, "clip": True, "opt": "adam", "extra": "x"},
    ]
    assert swept(["lr=nan", "lr=2"]) == [{"lr": "nan"}, {"lr": "2"}]
    assert swept(["clip=false", "clip=1.0"]) == [{"clip": "false"}, {"clip": "1.0"}]
