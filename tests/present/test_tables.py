from dataclasses import replace

import pytest

from stabilimeter.present import tables
from stabilimeter.present.tables import metric_tags, named_groups, sections
from stabilimeter.stats.incident import Kind


def texts(table):
    return [[cell.text for cell in cells] for cells in table.rows]


def section(summary, title):
    return next((table for table in sections(summary) if table.title.startswith(title)), None)


def test_groups_come_best_first_and_unscored_ones_last(build):
    undefined = build.stability(score=None, low=None, high=None, given_completion=None)
    groups = [
        build.group("c", stability=undefined),
        build.group("b", stability=build.stability(score=20.0)),
        build.group("d", stability=build.stability(score=90.0)),
        build.group("a", stability=build.stability(score=20.0)),
    ]
    named, common = named_groups(build.summary(*groups))
    assert [label for label, _ in named] == ["d", "a", "b", "c"]
    assert common == ""


def test_a_score_without_one_of_its_parts_is_marked_and_does_not_win(build):
    dead = build.group("dead", stability=build.stability(score=95.0, not_measured=("regression", "seed_spread")))
    good = build.group("good", stability=build.stability(score=60.0))
    table = sections(build.summary(dead, good))[0]
    assert [cells[:2] for cells in texts(table)] == [["good", "60.0"], ["dead", "95.0*"]]
    assert table.caption.endswith("* without what could not be measured, which may flatter.")
    assert "flatter" not in sections(build.summary(good))[0].caption


def test_scores_show_both_intervals_seeds_and_the_primary_metric(build):
    table = sections(build.summary(build.group("good"), build.failed("bad")))[0]
    assert [column.name.replace("\n", " ") for column in table.columns] == [
        "group",
        "stability 0 to 100",
        "95 % interval",
        "if seed finishes",
        "seeds ok",
        "val/accuracy high is good",
    ]
    assert texts(table) == [
        ["good", "88.2", "[54, 96]", "[81, 93]", "5 of 5", "0.9712 ± 0.0040"],
        ["bad", "20.0", "-", "-", "1 of 3", "0.9712 ± 0.0040"],
    ]


def test_a_mean_over_some_of_the_seeds_says_so(build):
    group = build.group(n=5, metrics={"val/accuracy": build.metric(n=4)})
    assert texts(sections(build.summary(group))[0])[0][-1] == "0.9712 ± 0.0040 (n=4)"
    group = build.group(n=5, metrics={})
    assert texts(sections(build.summary(group))[0])[0][-1] == "no value"


def test_groups_with_metrics_of_their_own_name_them(build):
    other = build.group("b", primary_metric="val_loss", metrics={"val_loss": build.metric(mode="min")})
    table = sections(build.summary(build.group("a"), other, primary=None))[0]
    assert [cells[-1] for cells in texts(table)] == ["val/accuracy 0.9712 ± 0.0040", "val_loss 0.9712 ± 0.0040"]


def test_without_any_primary_metric_there_is_no_column_for_it(build):
    table = sections(build.summary(build.group(primary_metric=None), primary=None))[0]
    assert table.columns[-1].name == "seeds\nok"


def test_points_lost_are_those_of_the_summary(build):
    table = section(build.summary(build.group("a"), build.failed("b")), "Where the points went")
    assert texts(table) == [["a", "0.0", "3.1", "4.0", "3.2", "1.5"], ["b", "70.0", "3.1", "4.0", "3.2", "1.5"]]
    assert table.caption == (
        "Half marks (conventions, version 1): a loss spike in 0.001 of the steps; of the progress from start to end, "
        "noise 0.05, worse checkpoints 0.1, seed spread 0.05."
    )


def test_what_was_not_measured_is_not_a_zero(build):
    lost = {"failures": 0.0, "spikes": 3.0, "noise": 0.0, "regression": 0.0, "seed_spread": 1.0}
    stability = build.stability(points_lost=lost, not_measured=("spikes", "noise"))
    table = section(build.summary(build.group(stability=stability)), "Where the points went")
    assert texts(table) == [["0.0", "3.0*", "n/m", "0.0", "1.0"]]
    assert table.caption.endswith(" n/m: not measured, left out of the score. *: not measured in every seed.")


def test_many_groups_show_where_points_went_for_the_best_and_the_worst(build):
    groups = [build.group(f"g{i:02}", stability=build.stability(score=90.0 - i)) for i in range(30)]
    table = section(build.summary(*groups), "Where the points went")
    labels = [cells[0] for cells in texts(table)]
    assert labels == [f"g{i:02}" for i in range(6)] + ["... 18 groups between ..."] + [f"g{i}" for i in range(24, 30)]
    assert len(sections(build.summary(*groups))[0].rows) == 30


def test_failed_seeds_with_one_reason_share_a_row(build):
    group = build.failed(n=4, n_failed=3)
    other = replace(group.runs[2], failure_reason="exception: RuntimeError: out of memory")
    summary = build.summary(replace(group, runs=(*group.runs[:2], other, group.runs[3])))
    assert texts(section(summary, "Failed seeds")) == [
        ["seeds 0, 1", "nonfinite: train/loss is NaN from step 412"],
        ["seed 2", "exception: RuntimeError: out of memory"],
    ]
    assert section(build.summary(), "Failed seeds") is None


def test_metrics_show_survivors_where_failures_change_the_mean(build):
    group = build.failed("bad", n=5, n_failed=1, metrics_ok={"val/accuracy": build.metric(0.99, n=4)})
    table = section(build.summary(group), "Final value")
    assert texts(table) == [
        ["val/accuracy", "0.9712 ± 0.0040", "0.0032", "0.9712", "0.9662", "0.9752", "5"],
        ["  survivors only", "0.9900 ± 0.0040", "0.0032", "0.9900", "0.9850", "0.9940", "4"],
    ]
    same = replace(group, metrics={"val/accuracy": build.metric(0.99, n=4)})
    assert len(section(build.summary(same), "Final value").rows) == 1


def test_metrics_are_the_primary_one_then_validation_then_the_rest(build):
    tags = ["train/loss", "a_metric", "val/zeta", "val/loss"]
    metrics = {tag: build.metric(mode="min") for tag in tags} | {
        "val/accuracy": build.metric(),
        "unknown": build.metric(mode=None),
        "train/loss_var": build.metric(mode="min"),
        "train/loss_noise": build.metric(mode="min"),
    }
    summary = build.summary(build.group(metrics=metrics))
    assert metric_tags(summary) == ["val/accuracy", "val/loss", "val/zeta", "a_metric", "train/loss"]


def test_metrics_that_do_not_fit_are_counted(build):
    metrics = {f"val/{i:02}": build.metric() for i in range(40)} | {"val/accuracy": build.metric()}
    table = section(build.summary(build.group(metrics=metrics)), "Final value")
    assert len(table.rows) == tables.MAX_METRIC_ROWS == 24
    assert table.caption == "17 more metrics in the JSON summary"


def test_incidents_say_how_many_and_where(build):
    runs = tuple(build.run(seed, incidents=(build.incident(step=10 + seed, value=5.0 + seed),)) for seed in range(3))
    shift = build.incident(Kind.SHIFT, step=700, shared=True, key="val/loss")
    shared = tuple(replace(run, incidents=(*run.incidents, shift)) for run in runs)
    table = section(build.summary(build.group(runs=(*shared, build.run(3)))), "Incidents")
    assert table.title == "Incidents: 6 in 3 of 4 seeds"
    assert texts(table) == [
        [
            "seeds 0, 1, 2",
            "step 700",
            (
                "val/loss moved to a new level, as far as 9.10, 2.00 expected (35 x noise); "
                "shared by 3 seeds, so data or schedule"
            ),
        ],
        ["seed 2", "step 12", "train/loss spiked to 7.00, 2.00 expected (25 x noise); the worst of 3 in 3 seeds"],
    ]


@pytest.mark.parametrize(("n_groups", "who"), [(2, "all"), (3, "a, b")])
def test_one_note_about_several_groups_is_said_once(build, n_groups, who):
    groups = [build.group(name, notes=("one seed",)) for name in "ab"] + [build.group("c", notes=("own",))]
    rows = texts(section(build.summary(*groups[:n_groups], notes=("of the sweep",)), "Notes"))
    assert rows[:2] == [["all", "of the sweep"], [who, "one seed"]]
    assert len(rows) == n_groups


def test_the_reason_of_an_undefined_score_is_a_note(build):
    stability = build.stability(None, None, None, given_completion=None, points_lost={}, reason="nothing measured")
    summary = build.summary(build.group(stability=stability))
    assert texts(section(summary, "Notes")) == [["nothing measured"]]
    assert section(summary, "Where the points went") is None
