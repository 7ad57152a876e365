from dataclasses import replace

from stabilimeter.present.metric_table import MAX_METRIC_ROWS, metric_tags
from stabilimeter.present.tables import sections


def texts(table):
    return [[cell.text for cell in cells] for cells in table.rows]


def section(summary, title):
    return next((table for table in sections(summary) if table.title.startswith(title)), None)


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
    assert len(table.rows) == MAX_METRIC_ROWS == 24
    assert table.caption == "17 more metrics in the JSON summary"
