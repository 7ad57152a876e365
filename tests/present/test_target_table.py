from dataclasses import replace

from stabilimeter.analysis.summary import TimeToTarget
from stabilimeter.present.table import Tone
from stabilimeter.present.target_table import target_times


def test_by_hand(build):
    group = build.group(n=3, primary_metric="val/accuracy", time_to_target=TimeToTarget(0.8, 3, 2, 299.0, None))
    steps = (199, 299, None)
    runs = tuple(replace(run, target_step=step) for run, step in zip(group.runs, steps, strict=True))
    table = target_times([("a", replace(group, runs=runs))])
    assert [cell.text for cell in table.rows[0]] == ["a", "val/accuracy", "0.8", "2 of 3", "299", "199", "299"]
    assert table.rows[0][3].tone is Tone.BAD


def test_never(build):
    never = build.group(n=2, time_to_target=TimeToTarget(0.8, 2, 0, None, "0 of 2 seeds reached the target"))
    assert [cell.text for cell in target_times([("a", never)]).rows[0]][3:] == ["0 of 2", "not reached", "-", "-"]


def test_no_target_no_table(build):
    assert target_times([("a", build.group())]) is None
