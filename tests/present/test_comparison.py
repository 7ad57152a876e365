from dataclasses import replace

import pytest

from stabilimeter.analysis.comparison import (
    Answer,
    Comparison,
    FailureComparison,
    Margin,
    MetricComparison,
    SpreadComparison,
    StabilityComparison,
)
from stabilimeter.present.comparison import comparison_json, render_comparison
from stabilimeter.present.comparison_sentence import sentence
from stabilimeter.present.terminal import to_text
from stabilimeter.records import strict_json

BETTER, WORSE, EQUIVALENT, INCONCLUSIVE = Answer.BETTER, Answer.WORSE, Answer.EQUIVALENT, Answer.INCONCLUSIVE


def metric(answer=BETTER, **changes):
    plain = MetricComparison(
        mode="min",
        n=(10, 10),
        mean=(3.28674, 3.27833),
        sd=(0.00143, 0.00156),
        difference=-0.00841,
        ci=(-0.00982, -0.007),
        p=1.0825e-05,
        p_holm=1.0825e-05,
        p_min=1.0825e-05,
        exact=True,
        paired=False,
        p_candidate_better=1.0,
        margin=0.00147,
        margin_from=Margin.SEED_SD,
        answer=answer,
        seeds_needed=4,
        seeds_for_equivalence=None,
    )
    return replace(plain, **changes)


UNDECIDED = {
    "answer": INCONCLUSIVE,
    "difference": -0.0005,
    "ci": (-0.0019, 0.0009),
    "p": 0.59,
    "p_holm": 0.59,
    "seeds_needed": 546,
    "seeds_for_equivalence": 367,
}


def comparison(verdict=BETTER, metrics=None, **changes):
    plain = Comparison(
        labels=("main", "this-branch"),
        primary_metric="val_loss",
        metrics={"val_loss": metric()} if metrics is None else metrics,
        spread=SpreadComparison("val_loss", (0.00143, 0.00156), 1.089, 0.983, INCONCLUSIVE, None),
        failures=FailureComparison((0, 0), (10, 10), 1.0, new=False),
        stability=StabilityComparison((91.2, 90.9), -0.3, (-12.0, 11.4), -0.3, (-2.1, 1.5), INCONCLUSIVE, (), None),
        verdict=verdict,
    )
    return replace(plain, **changes)


def test_the_whole_answer_as_a_reader_sees_it():
    text = to_text(render_comparison(comparison()), 100)
    assert (
        text
        == """
Better: val_loss is 3.2783 against 3.2867 (-0.0084 [-0.0098, -0.0070], p = 1.1e-05, 10 seeds on each
side).
baseline: main; candidate: this-branch

                     baseline  candidate  difference       95 % interval        p
  val_loss             3.2867     3.2783     -0.0084  [-0.0098, -0.0070]  1.1e-05  better
    SD over seeds      0.0014     0.0016       x 1.1                         0.98
  failed seeds        0 of 10    0 of 10                                        1
  stability              91.2       90.9        -0.3      [-12.0, +11.4]
    if seeds finish                             -0.3        [-2.1, +1.5]
  p: exact permutation test of the means, two-sided; Fisher's for failed seeds, Brown and Forsythe's
  for the SD.

What these seeds can say about val_loss (low is good)
  chance to beat the baseline  100 %, run against run
  margin that does not matter  0.0015 (the baseline's SD over seeds)
  smallest p possible          1.1e-05
  to confirm this difference   4 seeds on each side (80 % power)

"""
    )


@pytest.mark.parametrize(
    ("verdict", "changes", "expected"),
    [
        (
            WORSE,
            {"answer": WORSE, "difference": 0.00841, "ci": (0.007, 0.00982), "mean": (3.27833, 3.28674)},
            (
                "Worse: val_loss is 3.2867 against 3.2783 "
                "(+0.0084 [+0.0070, +0.0098], p = 1.1e-05, 10 seeds on each side)."
            ),
        ),
        (
            BETTER,
            {"margin": 0.02, "margin_from": Margin.GIVEN},
            (
                "Better: val_loss is 3.2783 against 3.2867 (-0.0084 [-0.0098, -0.0070], p = 1.1e-05, 10 seeds on each "
                "side), less than the margin of 0.020."
            ),
        ),
        (
            BETTER,
            {"paired": True},
            "Better: val_loss is 3.2783 against 3.2867 (-0.0084 [-0.0098, -0.0070], p = 1.1e-05, 10 pairs of seeds).",
        ),
        (
            INCONCLUSIVE,
            {**UNDECIDED, "n": (20, 38)},
            (
                "Inconclusive: 20 against 38 seeds do not tell val_loss apart (-0.00050 [-0.0019, +0.00090], "
                "p = 0.59): it would take about 546 seeds on each side to confirm such a difference, "
                "or 367 to show equivalence."
            ),
        ),
        (
            INCONCLUSIVE,
            {**UNDECIDED, "seeds_needed": None},
            (
                "Inconclusive: 10 seeds on each side do not tell val_loss apart (-0.00050 [-0.0019, +0.00090], "
                "p = 0.59): it would take about 367 seeds on each side to show equivalence."
            ),
        ),
        (
            INCONCLUSIVE,
            {**UNDECIDED, "n": (3, 3), "p_min": 0.1, "seeds_needed": 4, "seeds_for_equivalence": None},
            (
                "Inconclusive: 3 seeds on each side cannot tell val_loss apart, their smallest possible p is 0.1 "
                "(-0.00050 [-0.0019, +0.00090]): it would take about 4 seeds on each side to confirm such a difference."
            ),
        ),
        (
            EQUIVALENT,
            {**UNDECIDED, "answer": EQUIVALENT, "margin": 0.002},
            (
                "Equivalent: val_loss differs by less than 0.0020, the baseline's SD over seeds (-0.00050 [-0.0019, "
                "+0.00090], 10 seeds on each side)."
            ),
        ),
        (
            EQUIVALENT,
            {"answer": EQUIVALENT, "difference": 0.0, "ci": (0.0, 0.0), "margin": None, "margin_from": None},
            "Equivalent: val_loss is 3.287 in every seed of both sides.",
        ),
    ],
)
def test_one_sentence_for_each_answer(verdict, changes, expected):
    assert sentence(comparison(verdict, {"val_loss": metric(**changes)})) == expected


def test_failures_come_first_in_the_sentence():
    new = comparison(WORSE, failures=FailureComparison((0, 2), (10, 10), 0.47, new=True))
    assert sentence(new).startswith(
        "Worse: 2 of 10 seeds of the candidate failed, 0 of 10 seeds of the baseline; val_loss is better, "
        "3.2783 against 3.2867"
    )
    text = to_text(render_comparison(new), 100)
    assert "failed seeds 0 of 10 2 of 10 0.47 more" in " ".join(text.split())
    assert "Means are over the seeds that did not fail." in " ".join(text.split())
    fewer = comparison(BETTER, failures=FailureComparison((6, 0), (10, 10), 0.01, new=False))
    assert sentence(fewer).startswith("Better: 0 of 10 seeds of the candidate failed, 6 of 10 seeds of the baseline")


def test_no_metric_survives():
    gone = comparison(
        WORSE,
        {},
        spread=SpreadComparison(None, None, None, None, INCONCLUSIVE, "no metric could be compared"),
        failures=FailureComparison((0, 5), (5, 5), 2 / 252, new=True),
    )
    assert sentence(gone) == (
        "Worse: 5 of 5 seeds of the candidate failed, 0 of 5 seeds of the baseline; "
        "too few seeds survived to compare a metric."
    )
    assert "SD over seeds" not in to_text(render_comparison(gone))


def test_stability_and_spread_are_said_when_told_apart():
    changed = comparison(
        INCONCLUSIVE,
        {"val_loss": metric(**UNDECIDED)},
        spread=SpreadComparison("val_loss", (0.001, 0.004), 4.0, 0.0004, WORSE, None),
        stability=StabilityComparison((90.0, 37.0), -53.0, (-70.0, -13.0), -53.0, (-60.0, -45.0), WORSE, (), None),
    )
    assert sentence(changed).endswith(
        "; it is less stable, score 37 against 90; its seeds scatter more, SD 0.0040 against 0.0010."
    )
    text = to_text(render_comparison(changed))
    ends = {line.split()[0]: line.split()[-1] for line in text.splitlines() if line.startswith("    ")}
    assert (ends["SD"], ends["if"]) == ("wider", "stable")
    turned = replace(
        changed,
        spread=replace(changed.spread, answer=BETTER, sd=(0.004, 0.001)),
        stability=replace(changed.stability, answer=BETTER, score=(37.0, 90.0)),
    )
    assert sentence(turned).endswith(
        "; it is more stable, score 90 against 37; its seeds scatter less, SD 0.0010 against 0.0040."
    )


def test_other_metrics_show_holms_p():
    other = metric(INCONCLUSIVE, mode="max", p=0.021, p_holm=0.042)
    text = to_text(render_comparison(comparison(BETTER, {"val_loss": metric(p_holm=2e-5), "val_f1": other})))
    rows = [line.split() for line in text.splitlines() if line.startswith(("  val_loss", "  val_f1"))]
    assert [row[-2:] for row in rows] == [["1.1e-05", "better"], ["0.042", "inconclusive"]]
    assert "val_loss decides; the p of the other metrics is adjusted after Holm." in " ".join(text.split())
    together = comparison(BETTER, {"val_loss": metric(p_holm=2e-5), "val_f1": other}, primary_metric=None)
    assert "p = 2e-05" in sentence(together)
    assert "p = 0.042" in sentence(together)


def test_what_is_missing_is_said():
    without = replace(comparison().stability, ci=None, given_completion_ci=None, reason="candidate: no interval")
    text = to_text(render_comparison(comparison(stability=without, notes=("lengths differ: 10 and 20",))))
    assert "lengths differ: 10 and 20" in text
    assert "stability: no interval of the difference: candidate: no interval" in text
    partly = replace(comparison().stability, not_measured=("spikes", "noise"))
    text = to_text(render_comparison(comparison(stability=partly)))
    assert "not measured in every seed and left out: loss spikes, loss noise" in text
    assert "Notes" not in to_text(render_comparison(comparison()))


def test_labels_lose_what_they_share():
    text = to_text(render_comparison(comparison(labels=("opt.lr=0.1,seeds=5", "opt.lr=0.3,seeds=5"))))
    assert "baseline: lr=0.1; candidate: lr=0.3\n" in text


def test_names_cannot_drive_a_terminal():
    text = to_text(render_comparison(comparison(labels=("a\x1b[2J", "b"))))
    assert "\x1b" not in text
    assert "a?[2J" in text


def test_json_holds_the_sentence():
    plain = strict_json.loads(comparison_json(comparison()))
    assert plain["sentence"] == sentence(comparison())
    assert plain["verdict"] == "better"
    assert plain["metrics"]["val_loss"]["ci"] == [-0.00982, -0.007]
    assert plain["stability"]["given_completion_ci"] == [-2.1, 1.5]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_every_number_survives_a_narrow_terminal(width):
    text = to_text(render_comparison(comparison()), width)
    for shown in ("3.2783", "-0.0084", "1.1e-05", "0 of 10", "91.2", "[-12.0, +11.4]"):
        assert shown in text
