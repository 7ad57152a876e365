from dataclasses import replace

import numpy as np

from stabilimeter.present.curve_table import MAX_ROWS, WIDTH, curves
from stabilimeter.stats.band import Band


def band(mean):
    mean = np.asarray(mean, float)
    return Band(np.arange(mean.size), np.full(mean.size, 3), *[mean] * 9)


def texts(table):
    return [[cell.text for cell in cells] for cells in table.rows]


def test_one_group_shows_its_primary_metric_and_training_loss(build):
    falling = band(np.arange(WIDTH)[::-1])
    group = build.group(bands={"train/loss": falling, "grad/norm": falling, "val/accuracy": band([0.0, 0.5, 1.0])})
    table = curves([("a", group)])
    assert [column.name for column in table.columns] == ["series", "first", "", "last"]
    assert texts(table) == [
        ["val/accuracy", "0", "▁" * 8 + "▅" * 8 + "█" * 8, "1.000"],
        ["train/loss", "23.00", "████▇▇▇▆▆▆▅▅▅▄▄▃▃▃▂▂▂▁▁▁", "0"],
    ]


def test_several_groups_show_one_series_each_named_once_if_it_is_the_same(build):
    table = curves([("a", build.group("a")), ("b", build.group("b"))])
    assert table.title == "val/accuracy, mean over seeds, from first to last step"
    assert [cells[0] for cells in texts(table)] == ["a", "b"]
    assert len(table.columns) == 4


def test_a_group_without_a_value_of_its_metric_shows_the_training_loss(build):
    dead = build.group("dead")
    dead = replace(dead, bands={**dead.bands, "val/accuracy": band([np.nan] * 30)})
    table = curves([("a", build.group("a")), ("dead", dead)])
    assert [cells[:2] for cells in texts(table)] == [["a", "val/accuracy"], ["dead", "train/loss"]]


def test_where_all_seeds_died_the_curve_has_a_gap_and_the_caption_says_what_it_is(build):
    mean = np.linspace(1, 0, WIDTH)
    mean[WIDTH // 2 :] = np.nan
    group = build.group(bands={"val/accuracy": band(mean)})
    table = curves([("a", group)])
    assert texts(table)[0][2][WIDTH // 2 :] == "·" * (WIDTH // 2)
    assert texts(table)[0][3] == "NaN"
    assert "· no seed had a finite value." in table.caption
    assert "·" not in curves([("a", build.group())]).caption


def test_nothing_to_draw_is_no_table(build):
    assert curves([("a", build.group(bands={}))]) is None
    assert curves([("a", build.group(bands={"train/loss": band([1.0])}))]) is None


def test_many_groups_are_cut_in_the_middle_and_counted(build):
    table = curves([(f"g{i}", build.group(f"g{i}")) for i in range(40)])
    names = [cells[0] for cells in texts(table)]
    assert names == [f"g{i}" for i in range(6)] + ["... 28 groups between ..."] + [f"g{i}" for i in range(34, 40)]
    assert len(names) == MAX_ROWS + 1
    assert {len(cells) for cells in table.rows} == {len(table.columns)}


def test_hostile_names_are_harmless(build):
    group = build.group(bands={"loss\x1b[2J": band([1.0, 2.0])})
    assert texts(curves([("a", group)]))[0][0] == "loss?[2J"
