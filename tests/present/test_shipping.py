from dataclasses import replace

from stabilimeter.analysis.checkpoints import RunCheckpoints
from stabilimeter.analysis.shipment import Shipment
from stabilimeter.present.shipping import shipments

JUDGED = RunCheckpoints("acc", "max", 9, 1, 0, 0.1, 0.0, None, None, None, None, "no checkpoint was saved")


def texts(table):
    return [[cell.text for cell in cells] for cells in table.rows]


def test_the_path_stands_alone_so_that_it_can_be_copied(build):
    ship = Shipment("lr=0.1/seed=2/a.ckpt", 99, 0.98, "seed 2: acc 0.98, the best")
    groups = [("lr=0.1", build.group("lr=0.1", ship=ship)), ("lr=1", build.group("lr=1"))]
    assert texts(shipments(groups)) == [["lr=0.1", "lr=0.1/seed=2/a.ckpt"], ["", "seed 2: acc 0.98, the best"]]


def test_nothing_to_say_where_nobody_judged_or_saved(build):
    judged = build.group(runs=(build.run(checkpoints=JUDGED),))
    assert shipments([("a", build.group()), ("b", judged)]) is None


def test_that_none_is_healthy_is_said(build):
    sick = replace(JUDGED, n_unhealthy=3, reason="no checkpoint is healthy")
    group = build.group(runs=(build.run(0, checkpoints=sick), build.run(1, checkpoints=sick)))
    assert texts(shipments([("a", group)])) == [["a", "none: no checkpoint is healthy"]]
