from stabilimeter.present.tables import sections


def texts(table):
    return [[cell.text for cell in cells] for cells in table.rows]


def section(summary, title):
    return next((table for table in sections(summary) if table.title.startswith(title)), None)


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
