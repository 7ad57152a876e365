import numpy as np

from stabilimeter.analysis.metrics import group_metric
from stabilimeter.analysis.notes import dear_monitoring, equal_finals, missing_tags, run_notes
from stabilimeter.records.manifest import MonitorCost


def test_long_lists_are_cut_and_counted(build):
    runs = [build.foreign(seed, notes=["empty file skipped"]) for seed in range(6)]
    assert run_notes(runs) == ["seed=0, seed=1, seed=2, seed=3 and 2 more: empty file skipped"]


def test_runs_that_lack_the_same_tags_are_named_together(build):
    f1 = {"val_f1": build.points([0.1])}
    runs = [build.foreign(0, **f1), build.foreign(1), build.foreign(2), build.foreign(3, val_loss=None)]
    assert missing_tags(runs) == [
        "seed=1, seed=2: nothing logged for val_f1",
        "seed=3: nothing logged for val_f1, val_loss",
    ]


def test_complete_runs_need_no_note(build):
    assert missing_tags([build.foreign(seed) for seed in range(3)]) == []
    assert run_notes([build.foreign(0)]) == []


def test_equal_finals_are_said(build):
    def metric(*finals):
        return {"val_acc": group_metric(finals, "max", rng=np.random.default_rng(0))}

    (note,) = equal_finals("val_acc", metric(0.99, 0.99, 0.99))
    assert note.startswith("val_acc ends at 0.99 in all 3 seeds")
    assert equal_finals("val_acc", metric(0.99, 0.98, 0.99)) == []
    assert equal_finals("val_acc", metric(0.99)) == []
    assert equal_finals(None, {}) == []


def test_monitoring_that_takes_a_visible_share_is_said(build):
    def runs(*shares):
        return [
            build.ours(i, manifest={"monitor_cost": MonitorCost(1.0, share, 5, 99)}) for i, share in enumerate(shares)
        ]

    (note,) = dear_monitoring(runs(0.01, 0.13, 0.2))
    assert note.startswith("monitoring took 13 % of the training time")
    assert dear_monitoring(runs(0.01, 0.09, 0.2)) == []
    assert dear_monitoring([build.foreign(0), build.ours(1)]) == []
