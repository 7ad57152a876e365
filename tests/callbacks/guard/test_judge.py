"""Slow turns in a series of losses, without a Trainer."""

import json

import numpy as np
import pytest

from stabilimeter.callbacks.guard.judge import Judge
from stabilimeter.callbacks.guard.ladder import Trouble
from stabilimeter.stats.incident import Kind

TURNS_AT = 200


def losses(seed=0, rise=0.1, num=260):
    """2 +- 0.05, and ``rise`` noise widths more at every step from 200 on."""
    noise = np.random.default_rng(seed).normal(size=num)
    return (2.0 + 0.05 * (noise + rise * np.maximum(np.arange(num) - TURNS_AT, 0.0))).tolist()


def turns(judge, values, first=0, rates=None):
    found = []
    for step, loss in enumerate(values, first):
        rate = None if rates is None else rates[step]
        for incident, trouble in judge.findings(step, loss=loss, norm=1.0, learning_rate=rate):
            if trouble is Trouble.TURN:
                found.append(incident)
    return found


@pytest.mark.parametrize("seed", range(8))
def test_a_turn_is_told_once_with_its_onset(seed):
    judge = Judge(1e-4, "")
    [turn] = turns(judge, losses(seed))
    assert (turn.kind, turn.key) == (Kind.DIVERGENCE, "train/loss")
    assert turn.step == turn.end_step <= TURNS_AT + 40
    assert TURNS_AT - 20 <= turn.evidence["onset_step"] < turn.step
    assert judge.onset == turn.evidence["onset_step"]
    assert turn.baseline == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("seed", range(8))
def test_noise_does_not_turn(seed):
    judge = Judge(1e-4, "")
    assert turns(judge, losses(seed, rise=0.0, num=1000)) == []
    assert judge.onset is None


@pytest.mark.parametrize(("until", "is_told"), [(222, False), (240, True)])
def test_a_slight_setback_is_trouble_at_once_and_a_turn_if_it_lasts(until, is_told):
    """1.5 noise widths, noticed at step 211."""
    values = np.array(losses(rise=0.0))
    values[TURNS_AT:] += 0.075
    judge = Judge(1e-4, "")
    found = turns(judge, values[:until].tolist())
    assert TURNS_AT - 5 <= judge.onset < 211
    assert [(turn.step, turn.evidence["onset_step"]) for turn in found] == ([(225, judge.onset)] if is_told else [])
    assert all(turn.evidence["deviations"] < 2.0 for turn in found)


def test_a_setback_of_which_a_value_comes_to_stand_out_is_clear():
    values = np.array(losses(rise=0.0))
    values[TURNS_AT:] += 0.075
    values[220] = 3.0
    judge = Judge(1e-4, "")
    [turn] = turns(judge, values[:225].tolist())
    assert (turn.step, turn.value, turn.evidence["flagged"]) == (220, 3.0, ["train/loss"])
    assert TURNS_AT - 5 <= turn.evidence["onset_step"] < 220


@pytest.mark.parametrize(
    ("loss", "norm", "trouble", "flagged"),
    [
        (2.0, 1.0, None, None),
        (9.0, 1.0, Trouble.LOSS, ["train/loss"]),
        (2.0, 99.0, Trouble.GRADIENT, ["grad/norm"]),
        (9.0, 99.0, Trouble.LOSS, ["train/loss", "grad/norm"]),
        (9.0, float("inf"), Trouble.NONFINITE, ["train/loss", "grad/norm"]),
        (float("nan"), 1.0, Trouble.NONFINITE, ["train/loss"]),
    ],
)
def test_what_a_single_step_amounts_to(loss, norm, trouble, flagged):
    judge, rng = Judge(1e-4, ""), np.random.default_rng(1)
    for step, value in enumerate(losses(rise=0.0, num=100)):
        assert judge.findings(step, loss=value, norm=float(np.exp(0.1 * rng.normal()))) == []
    found = judge.findings(100, loss=loss, norm=norm)
    assert [(finding.trouble, finding.incident.evidence["flagged"]) for finding in found] == (
        [] if trouble is None else [(trouble, flagged)]
    )


def test_a_value_that_stands_out_by_itself_is_no_turn():
    values = losses(rise=0.0)
    values[235] = 3.0
    assert turns(Judge(1e-4, ""), values[:236]) == []


@pytest.mark.parametrize("raised_at", [None, TURNS_AT - 40, TURNS_AT])
def test_a_learning_rate_raised_right_before_is_named(raised_at):
    rates = [0.1 if raised_at is None or step < raised_at else 0.2 for step in range(260)]
    [turn] = turns(Judge(1e-4, ""), losses(), rates=rates)
    expected = {"step": TURNS_AT, "before": 0.1, "after": 0.2} if raised_at == TURNS_AT else None
    assert turn.evidence.get("learning_rate_jump") == expected


def test_a_state_through_json_goes_on_alike():
    values, rates = losses(), [0.1 if step < TURNS_AT else 0.2 for step in range(260)]
    whole = turns(Judge(1e-4, ""), values, rates=rates)
    for at in (100, 205, 215, 250):
        first, second = Judge(1e-4, ""), Judge(1e-4, "")
        found = turns(first, values[:at], rates=rates)
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        assert second.onset == first.onset
        assert found + turns(second, values[at:], at, rates=rates) == whole


def test_after_going_back_nothing_has_begun_before():
    values = losses()
    first, second = Judge(1e-4, ""), Judge(1e-4, "")
    turns(first, values[:210])
    second.load_state_dict(first.state_dict(), 230)
    [turn] = turns(second, values[210:], 230)
    assert turn.evidence["onset_step"] >= 230
