import pytest

from stabilimeter.analysis.primary import UnknownMetricError, check_metric, primary_of


def test_asked_for_comes_first(build):
    runs = [build.ours(val_f1=build.points([0.1, 0.5]))]
    assert primary_of(runs, "val_f1") == primary_of(runs, "val_f1", "max")
    assert (primary_of(runs, "val_f1").tag, primary_of(runs, "val_f1").mode) == ("val_f1", "max")
    assert primary_of(runs, "val_f1", "min").mode == "min"


def test_then_the_monitored_metric_with_its_mode(build):
    runs = [
        build.ours(seed, manifest={"monitor": "score", "mode": "max"}, score=build.points([1.0])) for seed in range(3)
    ]
    assert (primary_of(runs).tag, primary_of(runs).mode, primary_of(runs).note) == ("score", "max", None)


def test_then_the_only_validation_loss(build):
    assert (primary_of([build.foreign()]).tag, primary_of([build.foreign()]).mode) == ("val_loss", "min")


def test_none_is_said(build):
    primary = primary_of([build.foreign(val_loss=None)])
    assert (primary.tag, primary.mode) == (None, None)
    assert "--metric" in primary.note


def test_a_monitored_metric_that_was_never_logged_is_said(build):
    primary = primary_of([build.ours(manifest={"monitor": "val/bleu"})])
    assert primary.tag == "val/loss"
    assert "val/bleu was never logged; val/loss is used" in primary.note


def test_runs_that_monitored_different_metrics(build):
    f1 = {"val/f1": build.points([0.1, 0.2])}
    runs = [
        build.ours(0, **f1),
        build.ours(1, **f1),
        build.ours(2, manifest={"monitor": "val/f1", "mode": "max"}, **f1),
    ]
    primary = primary_of(runs)
    assert (primary.tag, primary.mode) == ("val/loss", "min")
    assert "val/f1, val/loss" in primary.note


def test_an_unknown_direction_stays_open_and_is_said(build):
    primary = primary_of([build.foreign(score=build.points([1.0]))], "score")
    assert primary.mode is None
    assert "--mode min|max" in primary.note


def test_a_metric_missing_in_this_group_is_said(build):
    primary = primary_of([build.foreign()], "val/f1")
    assert primary.tag == "val/f1"
    assert "no run of this group logged the primary metric val/f1" in primary.note


def test_an_unknown_metric_lists_what_exists_near_names_first(build):
    with pytest.raises(UnknownMetricError, match=r"'val/los'; there are: val_loss, loss") as error:
        check_metric([build.foreign()], "val/los")
    assert "\n" not in str(error.value)
    check_metric([build.foreign()], "val_loss")


def test_a_long_list_is_cut(build):
    run = build.log({f"metric_{number:03d}": build.points([1.0]) for number in range(100)})
    with pytest.raises(UnknownMetricError, match="and 80 more"):
        check_metric([run], "nothing like it")
