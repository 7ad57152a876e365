"""A loss that turns round within its noise, and the same loss where it does not."""

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import norm, rankdata

from stabilimeter.stats.detection import detect, finish, start, step
from stabilimeter.stats.detection.setback import Setback, afterwards, followed, over, threshold
from stabilimeter.stats.detection.setback_stretch import passed
from stabilimeter.stats.incident import Kind

LIMIT = threshold(1e-4)


def noise(seed: int, n: int = 400) -> np.ndarray:
    return 2.0 + 0.1 * np.random.default_rng(seed).standard_normal(n)


def after(values) -> Setback:
    state = Setback()
    for at, value in enumerate(values):
        state = followed(state, at, float(value), LIMIT)
    return state


def known_at(values) -> list[int]:
    """Where an incident was first told while it was going on."""
    state, found, before = start(), [], False
    for at, value in enumerate(values):
        state, _ = step(state, at, float(value))
        now = finish(state) is not None
        if now and not before:
            found.append(at)
        before = now
    return found


@pytest.mark.parametrize("seed", range(8))
def test_a_rise_of_two_noise_widths_is_known_within_sixteen_values(seed):
    series = noise(seed)
    assert known_at(series) == []
    series[300:] += 0.2
    assert 302 <= known_at(series)[0] <= 316
    (incident,) = detect(range(400), series)
    assert incident.kind is Kind.SHIFT
    assert 285 <= incident.step <= 305
    assert incident.baseline == pytest.approx(2.0, abs=0.05)
    assert incident.scale == pytest.approx(0.1, rel=0.4)


def test_a_turn_after_a_descent_is_found_where_it_turns():
    steps = np.arange(600)
    series = noise(1, 600) + 3.0 * np.exp(-steps / 60)
    assert detect(steps, series) == []
    series += 0.02 * np.maximum(steps - 400, 0)
    (incident,) = detect(steps, series)
    assert incident.kind is Kind.DIVERGENCE
    assert 385 <= incident.step <= 415


def test_an_excursion_within_the_noise_comes_back():
    series = noise(2, 600)
    series[300:360] += 0.3
    (incident,) = detect(range(600), series)
    assert incident.kind is Kind.EXCURSION
    assert 285 <= incident.step <= 305
    assert 350 <= incident.end_step <= 370
    assert incident.evidence["recovered"] is True


@pytest.mark.parametrize("again", [True, False])
def test_one_that_came_back_does_not_hide_the_next(again):
    series = noise(2, 600)
    series[300:330] += 0.3
    if again:
        series[370:400] += 0.3
    found = detect(range(600), series)
    assert [incident.kind for incident in found] == [Kind.EXCURSION] * (1 + again)
    assert not again or 365 <= found[1].step <= 375


@pytest.mark.parametrize("again", [True, False])
def test_a_new_level_is_what_the_next_is_measured_against(again):
    series = noise(5, 1000)
    series[300:] += 0.3
    if again:
        series[480:] += 0.3
    found = detect(range(1000), series)
    assert [incident.kind for incident in found] == [Kind.SHIFT] * (1 + again)
    assert not again or (475 <= found[1].step <= 485 and found[1].baseline == pytest.approx(2.3, abs=0.05))


def test_a_slight_one_that_comes_back_is_not_told():
    series = noise(2, 600)
    series[300:340] += 0.15
    assert known_at(series) != []
    assert detect(range(600), series) == []


def test_losing_all_that_was_gained_over_many_steps_is_one_divergence():
    steps = np.arange(600)
    gain = 4.0 * np.exp(-np.minimum(steps, 400) / 50) + np.minimum(np.maximum(steps - 400, 0) / 30, 1.0) * 4.0
    (incident,) = detect(steps, noise(3, 600) + gain)
    assert incident.kind is Kind.DIVERGENCE
    assert 390 <= incident.step <= 410
    assert incident.value == pytest.approx(6.0, abs=0.2)


def test_a_value_that_stands_out_meanwhile_belongs_to_it():
    series = noise(4, 400)
    series[300:] += 0.25
    series[330:] += 10.0
    (incident,) = detect(range(400), series)
    assert 285 <= incident.step <= 305
    assert incident.end_step == 399
    assert incident.baseline == pytest.approx(2.0, abs=0.05)


def test_the_sum_by_hand():
    """After 48 values the 49th is ranked among the first 40."""
    values = np.random.default_rng(5).standard_normal(49)
    state = after(values)
    rank = rankdata([*values[:40], values[48]])[-1]
    score = norm.ppf((rank - 0.5) / 41)
    assert len(state.reference) == 40
    assert state.total == pytest.approx(max(0.0, score / state.dependence - 0.5))


@pytest.mark.parametrize(("height", "rise"), [(0.8, 1.0), (3.0, 2.0)])
def test_a_score_counts_as_the_likelihood_of_the_rise_that_explains_it_best(height, rise):
    """Gaussian log-likelihood ratio of a rise by one or by two standard deviations, of the score of the rank."""
    values = [*np.random.default_rng(5).standard_normal(48), height]
    state = after(values)
    score = norm.ppf((rankdata([*values[:40], height])[-1] - 0.5) / 41) / state.dependence
    ratio = norm.logpdf(score, rise) - norm.logpdf(score)
    assert state.total - after(values[:48]).total == pytest.approx(ratio)


def test_dependent_values_are_worth_less():
    white = np.random.default_rng(6).standard_normal(2000)
    dependent = lfilter([1.0], [1.0, -0.9], white)
    assert after(white).dependence < 1.4
    assert 2.5 < after(dependent).dependence < 7.0
    assert detect(range(2000), dependent) == []


def test_a_smooth_rise_is_not_noise_that_turned():
    assert after(1.0 + 0.001 * np.arange(300.0)).alarmed is False


@pytest.mark.parametrize(("factor", "offset"), [(4.0, 0.0), (1.0, 64.0), (2.0**-20, 0.0)])
def test_unit_and_origin_do_not_matter(factor, offset):
    series = np.round(noise(7) * 2**20) / 2**20
    series[300:] += 0.25
    moved = after(series * factor + offset)
    assert (moved.alarmed, moved.since, moved.total) == (True, after(series).since, after(series).total)


def events_of_many_at_once(series, length: int) -> int:
    """How often an alarm was raised or over; after each, the state is that of one value after the other."""
    steps, values = list(range(len(series))), [float(value) for value in series]
    one, many, at = Setback(), Setback(), 0
    states = []
    for place, value in enumerate(values):
        one = followed(one, place, value, LIMIT)
        states.append(one)
        one = afterwards(one) if over(one, LIMIT) else one
    events = 0
    while at < len(values):
        end = min(at + length, len(values))
        count, (many, _) = passed((many, None), steps[at:end], values[at:end], 1e-4)
        at += count
        if at < end:
            many, events = followed(many, steps[at], values[at], LIMIT), events + 1
            at += 1
        assert many == states[at - 1]
        many = afterwards(many) if over(many, LIMIT) else many
    return events


@pytest.mark.parametrize("length", [1, 5, 8, 64, 600])
def test_many_at_once_are_the_same(length):
    series = noise(8, 600)
    series[200:260] += 0.4
    assert events_of_many_at_once(series, length) == 2  # it began, it was over


@pytest.mark.parametrize(
    ("series", "events"),
    [
        (np.round(noise(9, 600), 1), 0),  # ties
        (np.where(np.random.default_rng(10).random(600) < 0.7, 1.0, noise(10, 600)), 0),  # mostly one value
        (lfilter([1.0], [1.0, -0.95], noise(11, 600)), 0),
        (1.0 + 0.001 * np.arange(600.0), 0),  # the sum is high and nothing is visible
        (3.0 * np.exp(-np.arange(600) / 60) + noise(12, 600), 0),
        (np.cumsum(np.random.default_rng(13).standard_t(2, 600)), None),
    ],
)
def test_many_at_once_are_the_same_for_other_shapes(series, events):
    found = events_of_many_at_once(series, 200)
    assert events is None or found == events
