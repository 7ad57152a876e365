from dataclasses import replace

import pytest

from stabilimeter.present.tables import sections
from stabilimeter.stats.incident import Kind


def texts(table):
    return [[cell.text for cell in cells] for cells in table.rows]


def section(summary, title):
    return next((table for table in sections(summary) if table.title.startswith(title)), None)


def test_failed_seeds_with_one_reason_share_a_row(build):
    group = build.failed(n=4, n_failed=3)
    other = replace(group.runs[2], failure_reason="exception: RuntimeError: out of memory")
    summary = build.summary(replace(group, runs=(*group.runs[:2], other, group.runs[3])))
    assert texts(section(summary, "Failed seeds")) == [
        ["seeds 0, 1", "nonfinite: train/loss is NaN from step 412"],
        ["seed 2", "exception: RuntimeError: out of memory"],
    ]
    assert section(build.summary(), "Failed seeds") is None


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
