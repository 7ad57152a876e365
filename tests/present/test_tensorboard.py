from dataclasses import replace

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout

from stabilimeter.analysis.summary import Band
from stabilimeter.present.tensorboard import MAX_INCIDENT_ROWS, incident_table, run_names, write_summary_runs
from stabilimeter.records.sweep import read_sweep


def read(folder):
    """What TensorBoard itself finds in a run: scalars and tensors."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0}).Reload()
    tags = events.Tags()
    scalars = {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags["scalars"]}
    protos = {tag: events.Tensors(tag)[0].tensor_proto for tag in tags["tensors"]}
    tensors = {tag: proto.string_val[0] for tag, proto in protos.items() if proto.string_val}
    return scalars, tensors


def charts(folder):
    layout = Layout.FromString(read(folder)[1]["custom_scalars__config__"])
    return {
        category.title: [
            (chart.title, chart.margin.series[0].value, chart.margin.series[0].lower, chart.margin.series[0].upper)
            for chart in category.chart
        ]
        for category in layout.category
    }


def points(steps, values):
    return [(int(step), pytest.approx(float(value))) for step, value in zip(steps, values, strict=True)]


def test_a_group_becomes_a_run_with_mean_range_and_interval(build, tmp_path):
    group = build.group("lr=0.1")
    folder = write_summary_runs(build.summary(group), tmp_path)
    assert folder == tmp_path / "across_seeds"
    scalars, tensors = read(folder / "lr=0.1")
    band = group.bands["val/accuracy"]
    assert scalars == {
        "train/loss": points(band.steps, band.mean),
        "val/accuracy": points(band.steps, band.mean),
        **{f"~range/train/loss/{line}": points(band.steps, getattr(band, line)) for line in ("mean", "min", "max")},
        **{f"~range/val/accuracy/{line}": points(band.steps, getattr(band, line)) for line in ("mean", "min", "max")},
        **{
            f"~interval/val/accuracy/{line}": points(band.steps, getattr(band, line))
            for line in ("mean", "low", "high")
        },
    }
    assert "No incidents." in tensors["incidents"].decode()


def test_margin_charts_name_tags_that_exist_the_primary_metric_first_on_the_page(build, tmp_path):
    folder = write_summary_runs(build.summary(build.group("a"), build.group("b", n=2)), tmp_path)
    found = charts(folder)
    assert list(found) == ["Across seeds: mean, lowest to highest seed", "Across seeds: mean and its 95 % interval"]
    # The page shows the last chart of a category first.
    assert [chart[0] for chart in found["Across seeds: mean, lowest to highest seed"]] == ["train/loss", "val/accuracy"]
    scalars = read(folder / "a")[0]
    for category in found.values():
        for _, *tags in category:
            assert len({tuple(step for step, _ in scalars[tag]) for tag in tags}) == 1


def test_two_seeds_have_a_range_but_no_interval(build, tmp_path):
    folder = write_summary_runs(build.summary(build.group("a", n=2)), tmp_path)
    assert not [tag for tag in read(folder / "a")[0] if tag.startswith("~interval")]
    assert list(charts(folder)) == ["Across seeds: mean, lowest to highest seed"]


def test_an_interval_stops_where_fewer_than_three_seeds_go_on(build, tmp_path):
    band = build.band(n_steps=6)
    gone = np.arange(6) >= 4
    band = replace(band, low=np.where(gone, np.nan, band.low), high=np.where(gone, np.nan, band.high))
    folder = write_summary_runs(build.summary(build.group("a", bands={"val/accuracy": band})), tmp_path)
    scalars = read(folder / "a")[0]
    assert [step for step, _ in scalars["~interval/val/accuracy/mean"]] == [0, 50, 100, 150]
    assert [step for step, _ in scalars["~interval/val/accuracy/low"]] == [0, 50, 100, 150]
    assert [step for step, _ in scalars["~range/val/accuracy/mean"]] == [0, 50, 100, 150, 200, 250]


def test_steps_without_any_finite_value_are_left_out(build, tmp_path):
    nan = np.full(3, np.nan)
    band = Band(np.array([0, 1, 2]), np.zeros(3, np.int64), *[nan] * 9)
    folder = write_summary_runs(build.summary(build.group("a", bands={"val/accuracy": band})), tmp_path)
    assert read(folder / "a")[0] == {}


def test_writing_again_replaces_everything(build, tmp_path):
    write_summary_runs(build.summary(build.group("old"), build.group("kept")), tmp_path)
    bands = {"val/accuracy": build.band(n_steps=3)}
    folder = write_summary_runs(build.summary(build.group("kept", bands=bands)), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["across_seeds"]
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["kept"]
    assert len(list(folder.glob("events*"))) == len(list((folder / "kept").iterdir())) == 1
    assert [step for step, _ in read(folder / "kept")[0]["val/accuracy"]] == [0, 50, 100]


def test_a_failed_write_leaves_the_old_runs(build, tmp_path, monkeypatch):
    folder = write_summary_runs(build.summary(build.group("old")), tmp_path)
    monkeypatch.setattr("pathlib.Path.write_bytes", lambda self, data: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_summary_runs(build.summary(build.group("new")), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["across_seeds"]
    assert "val/accuracy" in read(folder / "old")[0]


def test_our_own_output_is_never_read_as_a_run(build, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "seed_0.csv").write_text("step,val_loss\n0,1.0\n1,0.5\n")
    write_summary_runs(build.summary(), tmp_path)
    sweep = read_sweep(tmp_path)
    assert [[run.label for run in group.runs] for group in sweep.groups] == [["seed_0"]]


def test_the_summary_is_there_as_text(build, tmp_path):
    folder = write_summary_runs(build.summary(build.group("lr=0.1"), build.failed("lr=1.0")), tmp_path)
    text = read(folder)[1]["Stability"].decode()
    assert "| lr=0.1 | 88.2 | \\[54, 96\\] | \\[81, 93\\] | 5 of 5 | 0.9712 ± 0.0040 |" in text
    assert "| lr=1.0 | seeds 0, 1 | nonfinite: train/loss is NaN from step 412 |" in text


def test_incidents_are_listed_in_order_of_steps(build):
    runs = (
        build.run(0, incidents=(build.incident(step=500, shared=True), build.incident(step=20))),
        build.run(1, incidents=(build.incident(step=500, shared=True),)),
    )
    table = incident_table(build.group(runs=runs))
    assert [[cell.text for cell in cells][:4] for cells in table.rows] == [
        ["20", "seed 0", "train/loss", "spike"],
        ["500", "seed 0", "train/loss", "spike (shared)"],
        ["500", "seed 1", "train/loss", "spike (shared)"],
    ]


def test_a_flood_of_incidents_is_cut_and_counted(build):
    many = tuple(build.incident(step=step) for step in range(MAX_INCIDENT_ROWS + 7))
    table = incident_table(build.group(runs=(build.run(0, incidents=many),)))
    assert len(table.rows) == MAX_INCIDENT_ROWS
    assert table.caption == "The first 500 of 507."


def test_group_labels_become_safe_and_different_folder_names(build):
    labels = ["a/b", "a_b", "../../etc", "A_B", "", "x" * 300, "lr=1e-3,w=2"]
    names = run_names(build.summary(*(build.group(label) for label in labels)))
    assert names == ["a_b", "a_b_2", "_.._etc", "A_B_3", "all", "x" * 120, "lr=1e-3,w=2"]
    assert run_names(build.summary(build.group("m.lr=1,m.w=2,s=0"), build.group("m.lr=2,m.w=2,s=1"))) == [
        "lr=1_s=0",
        "lr=2_s=1",
    ]
