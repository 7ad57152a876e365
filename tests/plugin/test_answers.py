"""The data behind the views, against the summary and against what was planted."""

import json
import threading

import numpy as np
import pytest
from scipy import stats as scipy_stats
from tests.plugin.conftest import HOSTILE, N, Tab, write_run, write_sweep

from stabilimeter.analysis.summarize import summarize
from stabilimeter.present.publish import summary_json
from stabilimeter.records.incident_log import incident_line
from stabilimeter.records.manifest import Manifest, RunStatus
from stabilimeter.records.run import read_run
from stabilimeter.records.sweep import read_sweep
from stabilimeter.records.writer import RunWriter
from stabilimeter.stats.incident import Incident, Kind
from stabilimeter.stats.smoothing import exponential_mean


@pytest.fixture(scope="module")
def summary(sweep):
    return json.loads(summary_json(summarize(read_sweep(sweep), rng=np.random.default_rng(0))))


def test_the_summary_is_summary_json(tab, summary):
    assert tab.get("summary") == summary


def test_overview_says_who_failed_when_and_what_moved_first(tab, summary):
    overview = tab.get("overview")
    assert overview["headline"][0] == {"tone": "bad", "text": "Failed: 1 of 3 seeds of lr=1.0."}
    assert overview["headline"][1] == {"tone": "good", "text": "No seed failed: lr=0.1."}
    (failed,) = overview["failed"]
    assert (failed["short"], failed["name"]) == ("lr=1.0", "seed 2")
    assert failed["against"] == "2 healthy seeds of its group"
    assert abs(failed["lost_at"] - 400) <= 3
    assert failed["movers"][0]["key"] == "grad/norm"
    assert failed["movers"][0]["step"] == 380
    (reason,) = [run["failure_reason"] for group in summary["groups"] for run in group["runs"] if run["failed"]]
    assert failed["why"] == reason


def test_numbers_of_the_overview_are_those_of_the_summary(tab, summary):
    groups = {group["label"]: group for group in summary["groups"]}
    rows = tab.get("overview")["groups"]
    assert len(rows) == 2
    for row in rows:
        group = groups[row["label"]]
        assert row["score"] == group["stability"]["score"]
        assert (row["low"], row["high"]) == (group["stability"]["low"], group["stability"]["high"])
        assert row["spread"] == group["metrics_ok"]["val/loss"]["sd"]
        assert row["n_failed"] == group["n_failed"]
        assert row["n_incidents"] == sum(len(run["incidents"]) for run in group["runs"])
        assert [part["value"] for part in row["points_lost"]] == list(group["stability"]["points_lost"].values())


def test_curves_hold_band_and_seeds(tab):
    answer = tab.get("curves", group="lr=1.0", tag="train/loss")
    assert answer["band"]["n"][0] == 3
    assert answer["band"]["n"][-1] == 2
    lost = answer["seeds"][2]
    assert (lost["name"], lost["state"], lost["last"]["step"]) == ("seed 2", "failed", N - 61)
    assert lost["curve"]["gaps"] == [N - 60]
    assert lost["curve"]["gap_values"] == ["NaN"]
    assert lost["curve"]["values"][-1] is None
    spiky = tab.get("curves", group="lr=0.1", tag="train/loss")["seeds"][1]
    assert [(incident["step"], incident["kind"]) for incident in spiky["incidents"]] == [
        (300, "spike"),
        (480, "spike"),
    ]


def test_a_zoom_has_only_its_steps(tab):
    answer = tab.get("curves", **{"group": "lr=0.1", "tag": "train/loss", "from": 100, "to": 120})
    assert answer["band"]["steps"] == list(range(100, 121))
    assert answer["seeds"][0]["curve"]["steps"] == list(range(100, 121))


def test_the_band_is_the_one_asked_for(tab, sweep):
    runs = [read_run(sweep / "lr=0.1" / f"seed={seed}") for seed in range(3)]
    values = np.stack([run["train/loss"].values for run in runs])
    edges = {
        "range": (values.min(axis=0), values.max(axis=0)),
        "sd": (values.mean(axis=0) - values.std(axis=0, ddof=1), values.mean(axis=0) + values.std(axis=0, ddof=1)),
        "quartiles": tuple(np.quantile(values, [0.25, 0.75], axis=0)),
        "interval": scipy_stats.t.interval(0.95, 2, values.mean(axis=0), scipy_stats.sem(values)),
    }
    for name, (lower, upper) in edges.items():
        band = tab.get("curves", group="lr=0.1", tag="train/loss", band=name, line="median")["band"]
        np.testing.assert_allclose(band["lower"], lower, rtol=1e-5)
        np.testing.assert_allclose(band["upper"], upper, rtol=1e-5)
        np.testing.assert_allclose(band["line"], np.median(values, axis=0), rtol=1e-5)
    band = tab.get("curves", group="lr=0.1", tag="train/loss", band="none")["band"]
    np.testing.assert_allclose(band["line"], values.mean(axis=0), rtol=1e-5)
    assert (band["lower"], band["upper"]) == (None, None)


def test_smoothing_comes_before_the_band_and_before_a_zoom(tab, sweep):
    runs = [read_run(sweep / "lr=0.1" / f"seed={seed}") for seed in range(3)]
    smooth = np.stack([exponential_mean(run["train/loss"].values, 0.1 * N) for run in runs])
    asked = {"group": "lr=0.1", "tag": "train/loss", "smooth": 0.1, "from": 200, "to": 250}
    answer = tab.get("curves", **asked)
    np.testing.assert_allclose(answer["band"]["line"], smooth.mean(axis=0)[200:251], rtol=1e-5)
    np.testing.assert_allclose(answer["seeds"][2]["curve"]["values"], smooth[2, 200:251], rtol=1e-5)


def test_time_adds_up_the_seconds_of_the_steps(tmp_path):
    steps = np.arange(0, 400, 2)  # every other step was recorded
    for seed, seconds in enumerate((0.5, 1.0)):
        writer = RunWriter(tmp_path / "runs" / f"seed={seed}", Manifest(seed=seed, group="g"))
        columns = np.column_stack([10.0 + seed - steps / 100, np.full(steps.size, seconds)])
        writer.write_block(["train/loss", "time/step_s"], steps, columns, 1e9 + steps)
        writer.write_incident(Incident(Kind.SPIKE, 100, 100, 9.0, 1.0, 0.1, "train/loss"))
        writer.close(RunStatus.COMPLETED, last_step=398)
    tab = Tab(tmp_path)
    tab.wait()
    assert tab.get("overview")["has_time"]
    (label,) = (group["label"] for group in tab.get("overview")["groups"])
    answer = tab.get("curves", group=label, tag="train/loss", axis="time")
    for seed, seconds in zip(answer["seeds"], (0.5, 1.0), strict=True):
        assert seed["curve"]["steps"] == [seconds * (step + 1) for step in steps]
        assert seed["incidents"][0]["step"] == 101 * seconds
        assert seed["last"]["step"] == 399 * seconds
    assert answer["band"]["steps"] == [0.75 * (step + 1) for step in steps]
    part = tab.get("curves", **{"group": label, "tag": "train/loss", "axis": "time", "from": 100, "to": 150})
    assert [seed["curve"]["steps"][0] for seed in part["seeds"]] == [100.5, 101.0]
    assert [seed["curve"]["steps"][-1] for seed in part["seeds"]] == [149.5, 149.0]


def test_without_seconds_there_is_no_time_axis(tab):
    assert not tab.get("overview")["has_time"]
    assert tab.get("curves", group="lr=0.1", tag="train/loss", axis="time")["n_seeds"] == 0


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("band", "iqr", "band must be one of range, interval, sd, quartiles, none, got 'iqr'"),
        ("line", "mode", "line must be one of mean, median, got 'mode'"),
        ("axis", "epoch", "axis must be one of step, time, got 'epoch'"),
        ("smooth", "1.5", "smooth must be a share of the run in (0, 1), got 1.5"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tab, argument, value, message):
    code, answer = tab.ask("curves", group="lr=0.1", tag="train/loss", **{argument: value})
    assert (code, answer) == (400, {"error": message})


def test_one_spike_in_a_million_steps_is_drawn(tmp_path):
    n = 1_000_000
    values = 1 + 0.01 * np.random.default_rng(0).standard_normal(n)
    values[654_321] = 7.25
    values[10] = np.nan
    writer = RunWriter(tmp_path / "runs" / "seed=0", Manifest(seed=0))
    writer.write_block(["signal"], np.arange(n), values[:, None], np.arange(n, dtype=float))
    writer.close(RunStatus.COMPLETED, last_step=n - 1)
    tab = Tab(tmp_path)
    assert tab.wait(seconds=120)["error"] is None
    (group,) = tab.get("overview")["groups"]
    answer = tab.get("curves", group=group["label"], tag="signal")
    (seed,) = answer["seeds"]
    points = dict(zip(seed["curve"]["steps"], seed["curve"]["values"], strict=True))
    assert len(points) < 5_000
    assert points[654_321] == pytest.approx(7.25)
    assert points[10] is None
    assert seed["curve"]["gaps"] == [10]
    assert max(value for value in answer["band"]["upper"] if value is not None) == pytest.approx(7.25)


def test_every_incident_is_on_its_lane_and_can_be_enlarged(tab, summary):
    answer = tab.get("incidents")
    lanes = {lane["path"]: lane for lane in answer["lanes"]}
    for group in summary["groups"]:
        for run in group["runs"]:
            assert [(event["kind"], event["key"], event["step"]) for event in lanes[run["path"]]["events"]] == [
                (incident["kind"], incident["key"], incident["step"]) for incident in run["incidents"]
            ]
    window = tab.get("window", run="lr=0.1/seed=1", incident=0)
    assert window["span"] == [240, 360]
    assert {"name": "learning rate", "value": "0.1000"} in window["facts"]
    assert {"name": "top layers", "value": "middle.weight 3.250"} in window["facts"]
    shown = {signal["tag"]: signal["curve"] for signal in window["signals"]}
    assert set(shown) >= {"train/loss", "grad/norm", "update/ratio", "optim/lr"}
    assert max(shown["train/loss"]["values"]) > 3
    assert shown["train/loss"]["steps"][0] == 240


def test_the_order_around_a_lost_seed_has_lead_times(tab):
    window = tab.get("window", run="lr=1.0/seed=2")
    leads = {entry["key"]: entry["lead"] for entry in window["order"]}
    assert leads["grad/norm"] == 380 - window["step"]
    assert leads["train/loss"] == 0


def test_layers_say_which_moved_first(tab):
    answer = tab.get("layers")
    assert answer["path"] == "lr=1.0/seed=2"
    assert answer["names"] == ["first.weight", "middle.weight", "last.weight"]
    assert [(mover["name"], mover["step"]) for mover in answer["moved"]] == [
        ("middle.weight", 360),
        ("last.weight", 400),
    ]
    column = answer["steps"].index(500)
    assert answer["values"][1][column] - answer["expected"][1][column] == pytest.approx(np.log10(40), abs=0.2)
    assert answer["values"][0][column] - answer["expected"][0][column] == pytest.approx(0, abs=0.2)
    assert tab.get("layers", run="lr=0.1/seed=0")["moved"] == []


def test_checkpoints_are_those_of_the_summary(tab, summary):
    answer = tab.get("checkpoints", group="lr=1.0")
    runs = next(group for group in summary["groups"] if group["label"] == "lr=1.0")["runs"]
    assert len(answer["rows"]) == 3
    for row, run in zip(answer["rows"], runs, strict=True):
        metric = run["metrics"]["val/loss"]
        assert (row["best_value"], row["best_step"], row["n_points"]) == (metric["best"], metric["best_step"], 30)


def test_compare_answers_in_a_sentence(tab):
    answer = tab.get("compare", baseline="lr=0.1", candidate="lr=1.0")
    assert answer["verdict"] == "worse"
    assert answer["sentence"].startswith("Worse: 1 of 3 seeds of the candidate failed, 0 of 3 seeds of the baseline")
    assert any(cell["text"] == "val/loss" for row in answer["tables"][0]["rows"] for cell in row)


def test_groups_that_cannot_be_compared_say_why(tab):
    answer = tab.get("compare", baseline="lr=0.1", candidate="lr=0.1")
    assert answer["refused"].startswith("3 of the runs are on both sides")


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("curves", {"group": "nope", "tag": "train/loss"}, "no group 'nope'"),
        ("curves", {"group": "lr=0.1", "tag": "train/loss", "from": "x", "to": "2"}, "from must be a number, got 'x'"),
        ("window", {"run": "nope"}, "no run 'nope'"),
        ("window", {"run": "lr=0.1/seed=1", "incident": "99"}, "no incident 99"),
        ("layers", {"run": "lr=0.1/seed=1", "key": "nope"}, "nope"),
        ("checkpoints", {"group": "nope"}, "no group 'nope'"),
        ("compare", {}, "baseline"),
    ],
)
def test_a_bad_question_gets_one_line(tab, name, arguments, said):
    code, answer = tab.ask(name, **arguments)
    assert code == 400
    assert said in answer["error"]
    assert "\n" not in answer["error"]


def test_a_tag_that_a_group_lacks_is_empty(tab):
    answer = tab.get("curves", group="lr=0.1", tag="nope")
    assert (answer["n_seeds"], answer["band"], answer["seeds"]) == (0, None, [])


def test_hostile_names_arrive_as_they_are(tab):
    assert HOSTILE in tab.get("overview")["tags"]
    assert tab.get("curves", group="lr=0.1", tag=HOSTILE)["n_seeds"] == 3


@pytest.mark.parametrize(
    ("folder", "said"), [("", "--logdir"), ("gs://bucket/runs", "--logdir"), ("missing", "missing")]
)
def test_a_folder_that_cannot_be_read_is_told(folder, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tab = Tab(folder)
    assert said in tab.wait()["error"]
    code, answer = tab.ask("overview")
    assert code == 503
    assert said in answer["error"]


def test_new_runs_are_read_while_somebody_looks(tmp_path, monkeypatch):
    monkeypatch.setattr("stabilimeter.tensorboard_plugin.live_sweep.LOOK_EVERY_S", 0.05)
    write_sweep(tmp_path)
    tab = Tab(tmp_path)
    version = tab.wait()["version"]
    assert sum(len(group["seeds"]) for group in tab.get("overview")["groups"]) == 6
    writer = RunWriter(tmp_path / "lr=0.1" / "seed=7", Manifest(seed=7, group="lr=0.1", monitor="val/loss", mode="min"))
    writer.write_scalars(0, {"train/loss": 1.0})
    writer.flush()
    status = tab.wait(lambda status: status["version"] > version)
    assert status["error"] is None
    states = [seed["state"] for group in tab.get("overview")["groups"] for seed in group["seeds"]]
    assert states.count("running") == 1
    writer.close(RunStatus.COMPLETED, last_step=0)


def test_nothing_is_read_again_if_nothing_changed(tab):
    version = tab.get("status")["version"]
    live = tab.plugin._live
    live._read_if_changed()
    assert tab.get("status")["version"] == version


def test_runs_are_shown_before_they_are_judged(tmp_path, monkeypatch):
    write_sweep(tmp_path)
    may_go_on = threading.Event()

    def slow(*args, **options):
        assert may_go_on.wait(60)
        return summarize(*args, **options)

    monkeypatch.setattr("stabilimeter.tensorboard_plugin.live_sweep.summarize", slow)
    tab = Tab(tmp_path)
    status = tab.wait(lambda status: status["version"] >= 2)  # the first has no series yet
    assert (status["is_scored"], status["total"]) == (False, 6)
    overview = tab.get("overview")
    assert [sentence["text"] for sentence in overview["headline"]] == [
        "6 runs in 2 groups; the scores are being computed."
    ]
    assert {seed["state"] for group in overview["groups"] for seed in group["seeds"]} == {"pending"}
    assert {(group["score"], group["seeds_text"]) for group in overview["groups"]} == {(None, "3 seeds")}
    assert overview["failed"] == []
    early = tab.get("curves", group="lr=1.0", tag="train/loss")
    may_go_on.set()
    tab.wait()
    assert tab.get("overview")["headline"][0]["text"] == "Failed: 1 of 3 seeds of lr=1.0."
    assert tab.get("curves", group="lr=1.0", tag="train/loss")["band"] == early["band"]


def test_the_first_sight_needs_no_series(tmp_path, monkeypatch):
    write_sweep(tmp_path)
    may_go_on = threading.Event()

    def slow(*args, with_series=True, **options):
        assert not with_series or may_go_on.wait(60)
        return read_sweep(*args, with_series=with_series, **options)

    monkeypatch.setattr("stabilimeter.tensorboard_plugin.live_sweep.read_sweep", slow)
    tab = Tab(tmp_path)
    tab.wait(lambda status: status["version"] == 1)
    overview = tab.get("overview")
    assert [(group["label"], len(group["seeds"])) for group in overview["groups"]] == [("lr=0.1", 3), ("lr=1.0", 3)]
    assert overview["tags"] == []
    may_go_on.set()
    tab.wait()
    assert tab.get("overview")["tags"]


def test_groups_appear_as_they_are_judged_and_the_result_is_that_of_the_whole(tmp_path, monkeypatch):
    write_sweep(tmp_path)
    may_go_on = threading.Event()

    def slow(sweep, **options):
        assert sweep.groups[0].label == "lr=0.1" or may_go_on.wait(60)
        return summarize(sweep, **options)

    monkeypatch.setattr("stabilimeter.tensorboard_plugin.live_sweep.summarize", slow)
    monkeypatch.setattr("stabilimeter.tensorboard_plugin.live_sweep.SHOW_EVERY_S", 0.0)
    tab = Tab(tmp_path)
    tab.wait(lambda status: status["version"] >= 3)
    overview = tab.get("overview")
    assert [sentence["text"] for sentence in overview["headline"]] == [
        "6 runs in 2 groups; 1 of 2 judged so far.",
        "No seed failed: lr=0.1.",
    ]
    assert {(group["label"], group["seeds"][0]["state"]) for group in overview["groups"]} == {
        ("lr=0.1", "ok"),
        ("lr=1.0", "pending"),
    }
    assert overview["failed"] == []
    may_go_on.set()
    tab.wait()
    whole = summarize(read_sweep(tmp_path), rng=np.random.default_rng(0))
    assert tab.get("summary") == json.loads(summary_json(whole))


def test_only_groups_with_news_are_judged_again(tmp_path, monkeypatch):
    write_sweep(tmp_path)
    tab = Tab(tmp_path)
    tab.wait()
    judged = []

    def noted(sweep, **options):
        judged.append(sweep.groups[0].label)
        return summarize(sweep, **options)

    monkeypatch.setattr("stabilimeter.tensorboard_plugin.live_sweep.summarize", noted)
    write_run(tmp_path, "lr=1.0", 3)
    version = tab.get("status")["version"]
    tab.wait(lambda status: status["version"] > version)
    assert judged == ["lr=1.0"]
    whole = summarize(read_sweep(tmp_path), rng=np.random.default_rng(0))
    assert tab.get("summary") == json.loads(summary_json(whole))


def test_a_run_that_cannot_be_read_is_said_and_the_others_are_shown(tmp_path):
    write_sweep(tmp_path)
    (broken,) = (tmp_path / "lr=0.1" / "seed=0" / "stability").glob("*tfevents*")
    content = bytearray(broken.read_bytes())
    content[len(content) // 2] ^= 255
    broken.write_bytes(content)
    tab = Tab(tmp_path)
    assert tab.wait()["error"] is None
    overview = tab.get("overview")
    assert overview["headline"][0] == {"tone": "bad", "text": "1 run could not be read: see the notes."}
    assert "seed=0 could not be read" in overview["notes"][0]["text"]
    assert sorted(len(group["seeds"]) for group in overview["groups"]) == [2, 3]


def test_what_the_guard_did_stands_at_the_incident_that_it_answered(tmp_path):
    write_run(tmp_path, "g", 0, spikes=(300, 480))
    evidence = {"action": "rollback", "series": "train/loss", "steps": 1, "restored_step": 250}
    action = Incident(Kind.SPIKE, 300, 300, 3.5, 0.5, 0.02, "guard/rollback", evidence=evidence)
    with (tmp_path / "g" / "seed=0" / "stability" / "incidents.jsonl").open("a") as file:
        file.write(incident_line(action))
    tab = Tab(tmp_path)
    tab.wait()
    (lane,) = tab.get("incidents")["lanes"]
    events = [event for event in lane["events"] if event["key"] in ("train/loss", "guard/rollback")]
    kinds = {event["index"]: (event["step"], event["kind"]) for event in events}
    assert sorted(kinds.values()) == [(300, "guard"), (300, "spike"), (480, "spike")]
    words = "SpikeGuard skipped the step and went back to the state after step 250"
    for index, (step, kind) in kinds.items():
        window = tab.get("window", run=lane["path"], incident=index)
        facts = {fact["name"]: fact["value"] for fact in window["facts"]}
        assert facts.get("action taken") == (words if step == 300 else None), (step, kind)
        assert window["signals"][0]["tag"] == "train/loss"


def test_runs_of_an_exported_chart_are_shown_and_followed(tmp_path):
    def export(n):
        head = ",".join(["Step", *(f"{run} - loss{edge}" for run in "ab" for edge in ("", "__MIN", "__MAX"))])
        rows = [",".join([str(step), *[f"{2 / (step + 1)}"] * 3, *[f"{3 / (step + 1)}"] * 3]) for step in range(n)]
        (tmp_path / "chart.csv").write_text("\n".join([head, *rows]) + "\n")

    export(60)
    tab = Tab(tmp_path)
    assert tab.wait()["error"] is None
    (group,) = tab.get("overview")["groups"]
    assert len(group["seeds"]) == 2
    export(80)
    version = tab.get("status")["version"]
    assert tab.wait(lambda status: status["version"] > version)["error"] is None
    assert tab.get("curves", group=group["label"], tag="loss")["band"]["steps"][-1] == 79


def test_a_run_of_the_hugging_face_trainer_is_followed(tmp_path):
    def save(n):
        folder = tmp_path / "output" / f"checkpoint-{n}"
        folder.mkdir(parents=True)
        history = [{"step": step, "epoch": step / 50, "loss": 2 / (step + 1)} for step in range(1, n)]
        state = {"global_step": n - 1, "max_steps": 200, "log_history": history}
        (folder / "trainer_state.json").write_text(json.dumps(state))

    save(60)
    tab = Tab(tmp_path)
    assert tab.wait()["error"] is None
    (group,) = tab.get("overview")["groups"]
    (tag,) = [tag for tag in tab.get("overview")["tags"] if "loss" in tag]
    version = tab.get("status")["version"]
    save(90)
    assert tab.wait(lambda status: status["version"] > version)["error"] is None
    (seed,) = tab.get("curves", group=group["label"], tag=tag)["seeds"]
    assert seed["curve"]["steps"][-1] == 89
